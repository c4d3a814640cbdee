"""A report as one HTML page: no script, no font, no picture from elsewhere."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from msgspec import Struct

from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.state.status import Status
from parexec_tui.report import phrases
from parexec_tui.report.drawings import curves, gantt, graph, svg
from parexec_tui.report.facts import Report, SessionFacts, TicketFact
from parexec_tui.report.path import RAN, path_of
from parexec_tui.text.words import day_and_clock, printable

_WIDTH = 1080.0
"""Of the drawings, in the units of their own."""

_MOST_ROWS = 40
"""Of a table that shows the most telling ones."""

_MOST_TICKETS = 1_000
"""Of the table of all tickets."""


_FEW = 3
"""Of fewer looks at the ETA the average says nothing."""


class _Curve(Struct, frozen=True):
    heading: str
    drawing: Markup


class _Stat(Struct, frozen=True):
    heading: str
    value: str
    note: str = ""


def page(report: Report) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "duration": format_duration,
        "size": format_size,
        "percent": phrases.percent,
        "clock": day_and_clock,
        "line": printable,
    }
    template = environment.get_template("page.html.jinja")
    return template.render(
        sessions=[_Session(facts) for facts in report.sessions],
        rules=Markup(svg.RULES),
        title=" · ".join(dict.fromkeys(printable(facts.plan) for facts in report.sessions)),
    )


class _Session:
    """What the template shows of a session."""

    def __init__(self, facts: SessionFacts) -> None:
        self.facts = facts
        self.outcome = phrases.outcome(facts)
        self.course = phrases.course(facts)
        self.verdict = "good" if phrases.has_succeeded(facts) else "bad" if facts.is_over else "run"
        self.figures = list(phrases.figures(facts))
        self.failures = phrases.failures(facts)
        self.failure = phrases.failure
        self.gantt = _drawn(gantt.gantt(facts, _WIDTH))
        self.lanes_left_out = gantt.left_out(facts)
        self.graph = _drawn(graph.graph(nodes(facts), path_of(facts.path)))
        self.is_graph_of_groups = len(facts.tickets) > graph.MOST_NODES
        self.cause = phrases.cause
        self.step = phrases.step
        self.path = list(phrases.folded(facts.path, _MOST_ROWS))
        self.agents = facts.agents[:_MOST_ROWS]
        self.slowest = phrases.slowest(facts, 15)
        self.families = phrases.families(facts)[:15]
        self.lost = phrases.lost(facts, 15)
        self.changes = list(phrases.changes(facts.comparison)) if facts.comparison is not None else []
        self.most_rows = _MOST_ROWS

    @property
    def curves(self) -> list[_Curve]:
        found = {
            "Tickets at once; dashed: slots": curves.at_once,
            "Tickets that were over": curves.ended,
            "CPUs of the host": curves.cpu,
            "Memory of the host in use": curves.memory,
        }
        drawn = [
            _Curve(heading, _drawn(draw(self.facts, _WIDTH, gantt.left_of(self.facts))))
            for heading, draw in found.items()
        ]
        return [each for each in drawn if each.drawing]

    @property
    def stats(self) -> list[_Stat]:
        facts, summary, parallel = self.facts, self.facts.summary, self.facts.parallelism
        again = summary.attempts - len({each.ticket for each in facts.attempts})
        before = ""
        if facts.comparison is not None and not phrases.has_others(facts.comparison):
            before = f"before {format_duration(facts.comparison.before.seconds)}"
        rate = (
            f", {phrases.percent(facts.rates.success)} of those that ended" if facts.rates.success is not None else ""
        )
        at_once = f"of {parallel.possible:.1f} possible, at most {parallel.most}"
        pace = facts.estimates.ratio
        return [
            _Stat("took" if facts.is_over else "so far", format_duration(summary.seconds), before),
            _Stat("succeeded", str(summary.succeeded), f"of {summary.tickets}{rate}"),
            _Stat("attempts", str(summary.attempts), f"{again} of them again"),
            _Stat("at once", f"{parallel.reached:.1f}", at_once),
            _Stat(
                "work", format_duration(summary.ran_seconds), f"{format_duration(facts.resources.cpu_seconds)} of cpu"
            ),
            _Stat("waited", format_duration(summary.waited_seconds), "all tickets, added up"),
            *(
                [_Stat("ETA", f"{phrases.off(facts.eta.error)} off", "on average")]
                if facts.eta is not None and facts.eta.looks >= _FEW
                else []
            ),
            *(
                [_Stat("by estimates", f"{phrases.times(pace)}\N{MULTIPLICATION SIGN}", "as long (median)")]
                if pace is not None
                else []
            ),
        ]

    @property
    def all_tickets(self) -> list[TicketFact]:
        """Those that did not succeed first."""
        ordered = sorted(self.facts.tickets, key=lambda each: each.status == Status.succeeded)
        return ordered[:_MOST_TICKETS]

    def share(self, seconds: float) -> float:
        """Of what tickets waited."""
        return seconds / self.facts.summary.waited_seconds if self.facts.summary.waited_seconds else 0.0

    def part(self, seconds: float) -> float:
        """Of what the session took."""
        return seconds / self.facts.summary.seconds if self.facts.summary.seconds else 0.0

    def style(self, ticket: TicketFact) -> str:
        return graph.style_of(ticket.status)

    def word(self, ticket: TicketFact) -> str:
        return phrases.word_of(ticket)

    def is_wait(self, step: object) -> bool:
        return getattr(step, "what", RAN) != RAN


def nodes(facts: SessionFacts) -> list[graph.Node]:
    """The tickets as the graph draws them."""
    return [
        graph.Node(each.id, each.group, each.status, each.needs, each.title, each.seconds) for each in facts.tickets
    ]


def _drawn(svg_text: str) -> Markup:
    return Markup(svg_text)  # what is in it was escaped
