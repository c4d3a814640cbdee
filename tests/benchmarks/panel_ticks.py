"""What panels cost that look ahead: `python tests/benchmarks/panel_ticks.py`.

The timeline and the graph are drawn at 200x45 as time passes, in a session of 2,000 tickets and in one of 10,000,
half of them over: the timeline with the cursor among its agents, and with it among its tickets. A tick that makes
nothing again must cost what is visible, so about the same in both; what costs O(plan) must take little of the time.

Exits 1 if a promise is broken.
"""

import statistics
import sys
import time
from typing import NamedTuple

from textual.geometry import Region

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.tui.panels import graph
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view.view_state import Change
from parexec_tui.tui.widgets.panel import Panel
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of

FEW, MANY = 2_000, 10_000
AGENTS = 12
SECONDS = 120
MAX_RATIO = 2.0
"""How much more a tick may cost with five times as many tickets; the machine is shared."""
MAX_SHARE = 0.02
"""Of the time that passes, what may go into what costs O(plan)."""


def session_of(tickets: int) -> Session:
    """Chains of 100 tickets of a minute; half of all are over, and each agent is at work."""
    chains = tickets // 100
    text = "\n".join(
        f"T{n}: {f'T{n - chains}' if n >= chains else ''} estimate={55 + n % 10}s" for n in range(tickets)
    )
    session = Session(plan(text, agents={"agent": AgentType(max=AGENTS)}, parallel=AGENTS), checks=False)
    over = 0
    while over < tickets // 2:
        session.dispatch()
        session.wait(60)
        session.succeed(*(live := session.live()))
        over += len(live)
    session.dispatch()
    session.wait(20)
    return session


class Cost(NamedTuple):
    usual: float
    """Seconds of a tick in which nothing is made again."""
    longest: float
    share: float
    """Of the time that passed, what all ticks took."""


def cost(kind: type[Panel], tickets: int, *, pages: int) -> Cost:
    """What the ticks of two minutes cost. The clock of the panel goes with that of the session, so that they need
    not pass. `pages`: how far down the cursor is."""
    session = session_of(tickets)
    view = view_of(session)
    for event in session.journal:
        view.event_history.take(event)
    real, began = time.monotonic, session.now
    graph._MAX_AT_ONCE = tickets  # there is no app that has threads
    time.monotonic = lambda: real() + session.now - began
    try:
        panel = panel_of(kind, view, 200, 45)
        panel.move_page(pages)
        lines(panel)
        asked: list[Region] = []
        vars(panel)["refresh"] = lambda *regions: asked.extend(regions or [panel.size.region])
        took = []
        for _ in range(SECONDS):
            session.wait(1)
            at = time.perf_counter()
            panel.changed(Change.clock)
            for y in {y for region in asked for y in range(region.y, region.bottom)}:
                panel.render_line(y)
            asked.clear()
            took.append(time.perf_counter() - at)
    finally:
        time.monotonic = real
    return Cost(statistics.quantiles(took, n=4)[0], max(took), sum(took) / SECONDS)


def main() -> None:
    broken = False
    for kind, pages, name in (
        (TimelinePanel, 0, "timeline, agents"),
        (TimelinePanel, 3, "timeline, tickets"),
        (GraphPanel, 3, "graph"),
    ):
        few, many = (cost(kind, tickets, pages=pages) for tickets in (FEW, MANY))
        ratio = many.usual / few.usual
        is_broken = ratio > MAX_RATIO or many.share > MAX_SHARE
        broken |= is_broken
        print(
            f"{name:<18} a tick {1000 * few.usual:.2f} ms, with {MANY // FEW} times the tickets "
            f"{1000 * many.usual:.2f} ms: {ratio:.1f} times, at most {MAX_RATIO:g}"
            f"{'   BROKEN' if is_broken else ''}\n"
            f"{'':<18} all ticks then take {100 * many.share:.1f} % of the time, at most {100 * MAX_SHARE:g} %; "
            f"the longest {1000 * many.longest:.0f} ms",
            flush=True,
        )
    sys.exit(broken)


if __name__ == "__main__":
    main()
