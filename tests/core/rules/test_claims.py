"""What a command wrote is held against what its ticket claims."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, dump, plan, replay

WORK = rq.Work("base", "mine", "theirs", "both")


def session(text: str, **of_type: object) -> Session:
    begun = Session(plan(text, agents={"agent": AgentType(**of_type)}))  # type: ignore[arg-type]
    begun.dispatch()
    return begun


def at(begun: Session, id_: str = "T") -> str:
    return begun[id_].live_attempt.step


@pytest.mark.parametrize(
    ("words", "of_type", "is_looked_at"),
    [
        ("writes=out", {}, False),
        ("writes=out claims=warn", {}, True),
        ("outputs=out claims=warn", {}, True),
        ("claims=warn", {}, False),
        ("claims=enforce", {}, True),
        ("writes=out", {"claims": "warn"}, True),
        ("", {"claims": "warn"}, False),
        ("", {"claims": "enforce"}, True),
        ("writes=out claims=off", {"claims": "enforce"}, False),
        ("claims=enforce", {"claims": "off"}, True),
    ],
)
def test_it_is_looked_for_what_was_written_where_the_plan_wants_that(
    words: str, of_type: dict[str, object], is_looked_at: bool
) -> None:
    begun = session(f"T: {words}", **of_type)
    begun.succeed("T")
    if "outputs" in words:
        begun.wrote("T")
    assert (begun.status("T") == "validating") is is_looked_at
    if is_looked_at:
        assert at(begun) == "claims"
        begun.found_unclaimed("T")
        assert begun.status("T") == "succeeded"
    assert begun.state.unclaimed == {}


def test_a_warning_is_kept_until_the_ticket_runs_again_and_the_gates_go_on() -> None:
    begun = session("T: writes=out claims=warn gates=lint")
    begun.wait(3)
    begun.succeed("T")
    assert begun["T"].live_attempt.command_ended == begun.now
    begun.found_unclaimed("T", "src/db.py", "x")
    assert at(begun) == "gate-1"
    begun.succeed("T")
    assert begun.status("T") == "succeeded"
    assert begun.state.unclaimed["T"].found.text("T") == "wrote outside its claim: src/db.py (and 1 more)"
    assert dump(replay(begun.plan, begun.journal)) == dump(begun.state)
    begun.ask(rq.Retry(tickets=("T",)))
    begun.dispatch()
    assert begun.state.unclaimed == {}


def test_it_fails_before_its_gates_and_is_tried_again_as_the_plan_says() -> None:
    begun = session("T: writes=out claims=enforce gates=lint retries=1 retry_on=claims\nD: T")
    begun.succeed("T")
    begun.found_unclaimed("T", "src/db.py")
    assert begun.status("T") == "backoff"
    begun.back_off("T")
    begun.dispatch()
    begun.succeed("T")
    begun.found_unclaimed("T", "src/db.py", "x")
    assert (begun.status("T"), begun["T"].end) == ("failed", End.failed)
    assert begun["T"].reason == "wrote outside its claim: src/db.py (and 1 more)"
    assert begun.status("D") == "skipped"
    assert not any(isinstance(event, ev.StepStarted) and event.step == "gate-1" for event in begun.journal)


def test_another_failure_is_not_one_of_claims() -> None:
    begun = session("T: writes=out claims=enforce retries=1 retry_on=outputs")
    begun.succeed("T")
    begun.found_unclaimed("T", "src/db.py")
    assert begun.status("T") == "failed"


def test_nobody_fails_for_what_others_may_have_written_or_was_not_looked_at() -> None:
    begun = session("T: writes=out claims=enforce")
    begun.succeed("T")
    begun.found_unclaimed(
        "T", shared=("x",), shared_count=1, others=("A",), others_count=1, unseen="more than 9 files"
    )
    assert begun.status("T") == "succeeded"
    told = begun.state.unclaimed["T"].found.text("T")
    assert told == ("unclaimed, written by one of T, A: x; what it wrote was not looked at whole: more than 9 files")


def test_one_that_is_stopped_meanwhile_ends_as_it_was_asked_to() -> None:
    begun = session("T: writes=out claims=enforce")
    begun.succeed("T")
    begun.ask(rq.Cancel(tickets=("T",)))
    begun.found_unclaimed("T", "src/db.py", unseen="it was stopped")
    assert begun.status("T") == "cancelled"


def tried(begun: Session, *files: str) -> list[ev.AnyEvent]:
    found = Unclaimed(files, len(files)) if files else None
    return begun.tell(rq.WorkTried("T", begun["T"].attempts, WORK, step=at(begun), unclaimed=found))


@pytest.mark.parametrize(("claims", "status"), [("warn", "validating"), ("enforce", "failed")])
def test_in_a_worktree_the_commit_tells_what_was_written(claims: str, status: str) -> None:
    begun = session(f"T: writes=out claims={claims} gates=lint", isolation="worktree")
    begun.tell(rq.WorktreeMade("T", 1, "/state/T", "base"))
    begun.succeed("T")
    assert at(begun) == "commit"
    events = tried(begun, "src/db.py")
    assert isinstance(events[0], ev.WroteUnclaimed)
    assert begun.status("T") == status
    if status == "failed":
        assert begun["T"].reason == "wrote outside its claim: src/db.py"
        return
    begun.succeed("T")
    begun.tell(rq.WorkTried("T", 1, None, step=at(begun)))  # others merged first
    assert at(begun) == "commit"
    assert not any(isinstance(event, ev.WroteUnclaimed) for event in tried(begun, "src/db.py")), "it is said once"


def test_a_stray_file_is_told_once_and_again_only_if_it_is_written_again() -> None:
    begun = session(
        "A: writes=a claims=warn\nB: writes=b claims=warn\nC: writes=c claims=warn\nD: writes=d claims=warn"
    )

    def look(id_: str, **stray: tuple[float, str]) -> None:
        begun.succeed(id_)
        whom = tuple((who,) for _, who in stray.values())
        begun.found_unclaimed(
            id_,
            shared=tuple(stray),
            shared_count=len(stray),
            others=tuple(sorted({who for _, who in stray.values()})),
            others_count=len(set(whom)),
            shared_by=whom,
            shared_at=tuple(at for at, _ in stray.values()),
        )

    look("A", x=(3.0, "B"))
    look("B", x=(3.0, "A"))
    look("C", x=(3.0, "A"), y=(4.0, "D"))
    look("D", x=(5.0, "B"))
    told = {id_: event.found.text(id_) for id_, event in begun.state.unclaimed.items()}
    assert told == {
        "A": "unclaimed, written by one of A, B: x",
        "C": "unclaimed, written by one of C, D: y",
        "D": "unclaimed, written by one of D, B: x",
    }
    assert dump(replay(begun.plan, begun.journal)) == dump(begun.state)


def test_of_the_stray_files_of_a_long_session_the_newest_are_remembered() -> None:
    begun = session("A: writes=a claims=warn")
    begun.checks = False
    for at in range(70):
        files = tuple(f"f{at}-{number}" for number in range(20))
        found = Unclaimed(shared=files, shared_count=20, shared_at=(float(at),) * 20)
        begun.apply(ev.WroteUnclaimed(at=begun.now, ticket="A", attempt=1, found=found))
    assert len(begun.state.told_strays) == 1000
    assert not found.without(begun.state.told_strays)
    assert {"f20-0", "f69-19"} <= begun.state.told_strays.keys()


def test_of_many_stray_files_those_without_a_name_are_not_told_again() -> None:
    files = tuple(f"f{number}" for number in range(20))
    found = Unclaimed(
        shared=files, shared_count=50, others=("B",), others_count=1, shared_by=(("B",),) * 20, shared_at=(1.0,) * 20
    )
    assert not found.without(dict.fromkeys(files, 1.0))
    assert found.without(dict.fromkeys(files[:5], 1.0)).shared_count == 45
