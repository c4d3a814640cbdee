"""Tickets that are not wanted, with real processes."""

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from parexec_tui.core.state import events as ev
from tests.engine.engines import PAREXEC, Engine, happened, start, state_of

PLAN = """
[hooks]
on_ticket_end = 'echo "$PAREXEC_TICKET $PAREXEC_END: $PAREXEC_REASON" >> ends'
[tickets.split]
run = "sh split.sh"
[tickets.test]
needs = ["split"]
when = "split.count > 3"
run = "touch ran"
[tickets.ship]
needs = ["test"]
run = "touch ran"
[tickets.few]
needs = ["split"]
when = "split.count <= 3 and test.status == 'not wanted'"
after = ["test"]
run = "touch few"
"""
SAID = "when split.count > 3: split.count is 2"


def test_it_is_answered_by_the_engine_that_comes_after_one_that_died_and_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "split.sh").write_text(
        'echo "count=2" > "$PAREXEC_VALUES"\ntouch begun\nuntil [ -e go ]; do sleep 0.02; done\n'
    )
    engine = start(tmp_path, PLAN)
    engine.until((tmp_path / "begun").exists, "the first ticket runs")
    engine.kill()
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "few").exists()
    assert not (tmp_path / "ran").exists()
    state = state_of()
    assert {id_: str(each.shown_status) for id_, each in state.tickets.items()} == {
        "split": "succeeded",
        "test": "not wanted",
        "ship": "not wanted",
        "few": "succeeded",
    }
    assert [each.because for each in happened(ev.WhenAnswered, ticket="test")] == ["split.count is 2"]
    ends = (tmp_path / "ends").read_text().splitlines()
    assert {f"test not wanted: {SAID}", "ship not wanted: not wanted because of test"} <= set(ends)
    report = [*PAREXEC, "report", "--format", "junit"]
    done = subprocess.run(report, cwd=tmp_path, capture_output=True, text=True, check=True)
    suites = ET.fromstring(done.stdout)
    assert not [*suites.iter("failure"), *suites.iter("error")]
    messages = [each.get("message") for each in suites.iter("skipped")]
    assert messages == [f"not wanted: {SAID}", "not wanted because of test"]
