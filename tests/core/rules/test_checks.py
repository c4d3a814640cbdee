"""What follows from a check of a ticket that runs: a warning, a freeze for a person, or an early end."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.checks import RunningCheck, find_forbidden, without_colours
from parexec_tui.core.rules.attention import began, needs
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import LAST_LOOK, OUTPUTS
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import step_text
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def session(*checks: RunningCheck, text: str = "") -> Session:
    written = plan(f"T: {text}")
    written.tickets["T"] = structs.replace(written.tickets["T"], checks=checks)
    found = Session(written)
    found.dispatch()
    return found


def found_by(made: Session, problem: str, number: int = 0) -> list[ev.AnyEvent]:
    return made.tell(rq.CheckMade("T", made["T"].attempts, number=number, problem=problem))


def reasons(made: Session) -> list[tuple[str, bool]]:
    return [(need.reason, need.is_asked_for) for need in needs(made.state)]


def test_a_check_that_fails_warns_once_until_it_holds_again() -> None:
    made = session(RunningCheck(name="quiet", forbid="Traceback"))
    (failed,) = found_by(made, "it printed Traceback")
    assert [need.subject.name for need in began(made.state, failed)] == ["T"]
    assert reasons(made) == [("check quiet: it printed Traceback", False)]
    assert found_by(made, "it printed Traceback") == []
    assert found_by(made, "") == [ev.CheckHeld(at=made.now, ticket="T", attempt=1, check="quiet")]
    assert reasons(made) == []
    assert found_by(made, "") == []
    made.succeed("T")
    assert made["T"].live_attempt.step == LAST_LOOK
    made.succeed("T")
    assert made.status("T") == "succeeded"


def test_a_check_freezes_for_a_person_who_may_thaw_it() -> None:
    made = session(RunningCheck(grows="model.log", then="freeze"))
    found_by(made, "model.log has not grown for 10s")
    assert made["T"].is_frozen
    assert reasons(made) == [("frozen: check model.log grows: model.log has not grown for 10s", False)]
    made.act(rq.Thaw(tickets=("T",)))
    assert found_by(made, "model.log has not grown for 10s") == [], "a person has decided that"
    assert not made["T"].is_frozen


def test_a_check_that_stops_fails_the_ticket_and_uses_its_retries() -> None:
    made = session(RunningCheck(name="memory", max_memory=None, then="stop"), text="retries=1 retry_delay=1s")
    found_by(made, "it uses 2GiB, more than 1GiB")
    assert made.status("T") == "stopping"
    made.killed("T")
    assert made.status("T") == "backoff"
    assert not made.state.warned
    made.back_off("T")
    made.dispatch()
    found_by(made, "it uses 2GiB, more than 1GiB")
    made.killed("T")
    assert (made["T"].end, made["T"].reason) == (End.failed, "check memory: it uses 2GiB, more than 1GiB")


def test_the_line_that_a_check_found_is_said_once() -> None:
    made = session(RunningCheck(name="nan", forbid="nan", then="stop"))
    found_by(made, "it printed loss nan")
    made.tell(rq.ProcessEnded("T", 1, signal=15, error_line="loss nan"))
    assert (made["T"].reason, made["T"].error_line) == ("check nan: it printed loss nan", "")


def test_what_is_found_too_late_says_nothing() -> None:
    made = session(RunningCheck(name="quiet", forbid="Traceback", then="stop"), text="gates=lint")
    made.succeed("T")
    assert made.status("T") == "validating"
    assert found_by(made, "it printed Traceback") == []
    assert found_by(made, "it printed Traceback", number=7) == []


def searched(made: Session, *found: tuple[int, str]) -> list[ev.AnyEvent]:
    return made.tell(rq.OutputSearched("T", made["T"].attempts, found, step=LAST_LOOK))


def test_what_the_last_look_finds_fails_the_ticket_before_its_outputs_are_looked_at() -> None:
    made = session(RunningCheck(name="quiet", forbid="Traceback", then="stop"), text="outputs=out")
    made.succeed("T")
    assert step_text(made.state, made["T"]) == "reading the rest of its output"
    searched(made, (0, "it printed Traceback"))
    assert (made["T"].end, made["T"].reason) == (End.failed, "check quiet: it printed Traceback")


def test_the_last_look_warns_and_goes_on() -> None:
    made = session(RunningCheck(name="quiet", forbid="Traceback"), text="outputs=out")
    made.succeed("T")
    searched(made, (0, "it printed Traceback"), (7, "of a check that is gone"))
    assert (made["T"].live_attempt.step, reasons(made)) == (OUTPUTS, [("check quiet: it printed Traceback", False)])


def test_the_last_look_freezes_and_a_person_lets_it_go_on_or_cancels_it() -> None:
    check = RunningCheck(name="quiet", forbid="Traceback", then="freeze")
    made = session(check)
    made.succeed("T")
    searched(made, (0, "it printed Traceback"))
    searched(made, (0, "it printed Traceback"))
    assert (made.status("T"), made["T"].live_attempt.step) == ("frozen", LAST_LOOK)
    made.act(rq.Thaw(tickets=("T",)))
    searched(made, (0, "it printed Traceback"))
    assert made.status("T") == "succeeded"
    other = session(check)
    other.succeed("T")
    searched(other, (0, "it printed Traceback"))
    other.act(rq.Cancel(tickets=("T",)))
    searched(other, (0, "it printed Traceback"))
    assert other.status("T") == "cancelled"


def test_a_pattern_is_literal_but_for_stars_and_stays_in_its_line() -> None:
    assert find_forbidden("loss = nan.", b"x\nloss = nan.\n") == 2
    assert find_forbidden("loss = nan.", b"loss = nano") is None
    assert find_forbidden("loss*nan", b"loss of 3 is nan") == 0
    assert find_forbidden("loss*nan", b"loss\nnan") is None
    assert find_forbidden("loss*nan", b"loss 1\nnan loss\nthe loss: nan") == 20
    assert find_forbidden("*loss**nan*", b"a loss: nan!") == 2
    assert find_forbidden("nan*nan", b"nan") is None, "one place is not two"


def test_colours_and_links_hide_nothing() -> None:
    text = b"\x1b[01;31m\x1b[Kbad\x1b[m word, \x1b]8;;http://x\x1b\\here\x1b]8;;\x07"
    assert without_colours(text) == b"bad word, here"


@pytest.mark.timeout(30)
def test_stars_in_a_long_line_cost_little() -> None:
    line = b"warn line " * 100_000
    assert find_forbidden("*warn*line*warn*line*warn*bad*", line + b"\nbad") is None
    assert find_forbidden("*warn*line*warn*line*warn*bad*", line + b"bad") == 0
