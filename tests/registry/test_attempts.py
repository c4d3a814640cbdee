"""What was learnt from attempts."""

from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from tests.registry.registries import AT, start


def test_history_is_the_median_of_the_latest_successes(registry: Registry) -> None:
    def run(name: str, *ends: tuple[str, float, str]) -> str:
        session = start(registry, name=name)
        facts = [AttemptFact(t, n, "a", AT, AT + seconds, end) for n, (t, seconds, end) in enumerate(ends)]
        registry.append(session, [], attempts=facts)
        return session

    run("Build", ("A", 1000, "succeeded"))  # too long ago
    for seconds in (1, 2, 3, 4):
        run("Build", ("A", seconds, "succeeded"), ("A", 500, "failed"))
    newest = run("Build", ("A", 9, "succeeded"), ("B", 7, "succeeded"))
    run("Build", ("A", 800, "failed"))  # tells nothing
    start(registry)
    run("Other", ("A", 600, "succeeded"))
    assert registry.history("Build") == {"A": 3, "B": 7}
    assert registry.history("Build", sessions=1) == {"A": 9, "B": 7}
    assert registry.history("Build", besides=newest) == {"A": 3}
    assert registry.history("Never run") == {}


def test_the_peak_of_a_ticket_is_that_of_nine_in_ten_of_its_latest_successes(registry: Registry) -> None:
    session = start(registry, name="Build")
    ends = [("A", peak, "succeeded") for peak in (*range(1, 10), 500)]
    ends += [("A", 900, "failed"), ("B", 7, "succeeded"), ("C", 0, "succeeded")]
    facts = [AttemptFact(t, n, "a", AT, AT + 1, end, peak_memory=peak) for n, (t, peak, end) in enumerate(ends)]
    registry.append(session, [], attempts=facts)
    assert registry.peaks("Build") == {"A": 9, "B": 7}
    assert registry.peaks("Build", besides=session) == {}
