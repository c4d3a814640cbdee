"""The steps against a pressed host, in words: the same in events, banner, `status` and WHY."""

from collections.abc import Iterator

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.pressure import Ladder
from parexec_tui.core.wire.protocol import PressureFact


def step_text(event: ev.PressureRaised) -> str:
    """What is done from now on."""
    match event.step:
        case "warn":
            return "nothing is done yet"
        case "hold":
            return "what would use more is not started"
        case "fewer":
            return f"at most {event.parallel} run at once"
        case "freeze":
            return f"{event.ticket} is frozen"
        case "requeue":
            return f"{event.ticket} is stopped, and waits again"


def eased_text(event: ev.PressureEased) -> str:
    """What is not done any more."""
    match event.step:
        case "warn":
            return "it is over"
        case "hold":
            return "what would use more may start again"
        case "fewer":
            return "as many may run at once as before"
        case "freeze":
            return f"{event.ticket} goes on"
        case "requeue":
            return f"{event.ticket} may start again"


def pressure_fact(ladder: Ladder) -> PressureFact:
    """How far the ladder was climbed, for `status --json`."""
    lowered = min((step.parallel for step in ladder.steps if step.parallel is not None), default=None)
    return PressureFact(
        resource=ladder.resource,
        step=ladder.rung,
        since=ladder.since,
        text=ladder.text,
        done=", ".join(_done(ladder, lowered)),
        parallel=lowered,
        tickets=list(ladder.tickets),
    )


def _done(ladder: Ladder, lowered: int | None) -> Iterator[str]:
    if ladder.holds:
        yield "what would use more waits"
    if lowered is not None:
        yield f"at most {lowered} run at once"
    for kind, word in (("freeze", "frozen"), ("requeue", "stopped to wait again")):
        ids = [step.ticket for step in ladder.steps if step.kind == kind]
        if ids:
            yield f"{word}: {listed(ids, limit=3)}"


def pressed_text(fact: PressureFact) -> str:
    """`pressed for memory: 90MiB available, pressed below 128MiB; frozen: T3`."""
    return f"pressed for {fact.resource}: {fact.text}" + (f"; {fact.done}" if fact.done else "")
