"""Where the processes of a session run."""

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.opening import host_of
from tests.core.hosts import two_hosts


@pytest.mark.parametrize(("sync", "resolved"), [("shared", "gpu-box"), ("git", "")])
def test_a_process_runs_where_its_agent_is_but_resolves_a_merge_where_that_has_begun(
    sync: str, resolved: str
) -> None:
    state = two_hosts(sync=sync).state
    assert [host_of(state, ProcessKey(id_, 1)) for id_ in ("A", "C", "gone")] == ["gpu-box", "", ""]
    assert host_of(state, ProcessKey("A", 0, "skip-if")) == ""
    assert [host_of(state, ProcessKey("A", 1, step)) for step in ("tests", "resolve-2")] == ["gpu-box", resolved]
