"""A predicted course as a chart of lanes."""

from parexec_tui.core.predict.course import Course, Span
from parexec_tui.tui.drawing.gantt import gantt_rows


def drawn(course: Course, width: int, lanes: int = 99, *, ascii_only: bool = False) -> list[str]:
    rows = gantt_rows(course, width, lanes, ascii_only=ascii_only)
    return [f"{name}{''.join(cell.char for cell in cells)}".rstrip() for name, cells in rows]


def course(*spans: Span) -> Course:
    agents = {span.agent: span.agent.partition("-")[0] for span in spans if span.agent}
    return Course(1000.0, max(span.end for span in spans) - 1000.0, spans, 0, (), agents)


def span(ticket: str, agent: str, start: float, end: float) -> Span:
    return Span(ticket, agent, 1000.0 + start, 1000.0 + end)


def test_a_lane_for_each_agent_with_the_names_of_tickets_where_there_is_room() -> None:
    found = course(
        span("core", "builder-1", 0, 20),
        span("documentation", "writer-1", 0, 10),
        span("load", "builder-1", 20, 40),
        span("enormous", "writer-1", 10, 16),
        span("@plan", "", 40, 50),
    )
    assert drawn(found, 60) == [
        "          0s   5s   10s  15s  20s  25s  30s  35s  40s  45s",
        "builder-1 █core███████████████▐load███████████████",
        "writer-1  █documen~█▐█████  enormous",
        "(gates)                                           █@plan████",
    ]
    assert drawn(found, 30, ascii_only=True) == [
        "          0s    15s   30s",
        "builder-1 =core=== load===",
        "writer-1  ==== ==  enormous",
        "(gates)                   ====",
    ]


def test_lanes_that_do_not_fit_are_folded_and_no_line_is_too_long() -> None:
    found = course(*(span(f"T{number}", f"builder-{number}", 0, 10 + number) for number in range(30)))
    for width in (12, 20, 80, 120):
        for lanes in (1, 7, 29, 30):
            lines = drawn(found, width, lanes)
            assert max(map(len, lines)) <= width
            assert len(lines) == (31 if lanes >= 29 else lanes + 2)
    assert drawn(found, 80, 10)[-1] == "and 20 more lanes, 76% busy"


def test_the_name_of_a_lane_keeps_its_number() -> None:
    found = course(span("A", "a-very-long-type-of-agent-17", 0, 10))
    assert drawn(found, 40)[1].startswith("a-very-lagent-17 █")
