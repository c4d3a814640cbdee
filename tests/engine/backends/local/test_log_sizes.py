"""How much processes have written."""

from pathlib import Path

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.local.logs import read_sizes
from parexec_tui.paths import SessionFolder


def test_of_a_coding_agent_is_known_what_it_printed_beside_its_log(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path)
    folder.attempts.mkdir()
    coded, other = ProcessKey("coded", 1), ProcessKey("other", 1)
    for key in (coded, other):
        folder.log(key).write_text("a story\n")
    files = folder.of_agent(coded)
    Path(files.stream).write_text("x" * 1000)
    Path(files.facts).write_text("y" * 10)
    logs = [(key, str(folder.log(key))) for key in (coded, other)]
    found = {log.key: log.told for log in read_sizes(folder.attempts, logs, {coded: files}).logs}
    assert found == {coded: 1010, other: None}
