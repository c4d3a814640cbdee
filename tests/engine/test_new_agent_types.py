"""A session that runs is given other agent types by `reload`."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.paths import registry_file
from parexec_tui.registry.names import names
from parexec_tui.registry.registry import Registry
from tests.engine import engines, stand_ins
from tests.engine.engines import happened, session, start, state_of
from tests.engine.lifecycle.detached import parexec
from tests.engine.stand_ins import agent, ticket
from tests.repositories import git, new_repository

TICKETS = '[tickets.wait]\nagent = "shell"\nrun = "until [ -e go ]; do sleep 0.02; done"\n[agents.shell]\n'


@pytest.fixture(autouse=True)
def stand_in_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_ins.home(tmp_path, monkeypatch)


def test_a_fallback_that_comes_at_a_limit_goes_on_at_once(tmp_path: Path) -> None:
    tickets = "".join(
        ticket(id_, prompt, agent="claude") for id_, prompt in (("a", "[limit 600]"), ("b", "[say hi]"))
    )
    engine = start(tmp_path, agent("claude", max=1) + tickets)
    engine.until(lambda: happened(ev.AccountRests), "the account rests")
    parexec("cancel", "a", cwd=tmp_path)  # it would meet the same limit there
    engines.write_plan(tmp_path, agent("claude", max=1, fallback=["codex"]) + agent("codex") + tickets)
    told = parexec("reload", "--yes", cwd=tmp_path)
    assert "+ agent type codex  kind codex, program, permissions all (it may do all that you may)" in told
    assert "~ agent type claude  fallback codex" in told
    engine.wait()
    assert "agents of codex may do all that you may" in engine.text()
    state = state_of()
    assert (state.tickets["b"].agent, state.tickets["b"].end) == ("codex-1", End.succeeded)


def test_the_first_type_with_worktrees_may_come_while_the_engine_runs(tmp_path: Path) -> None:
    repository = new_repository(tmp_path / "repository", {"notes": "1\n"})
    plan = f'[plan]\nworkdir = "{repository}"\n{TICKETS}'
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.AttemptStarted), "it runs")
    engines.write_plan(tmp_path, plan + agent("claude") + ticket("made", "[write made here]", agent="claude"))
    parexec("reload", "--yes", cwd=tmp_path)
    engine.until(lambda: happened(ev.WorkMerged), "what the agent did is merged")
    (repository / "go").touch()
    assert engine.wait() == 0, engine.text()
    assert git(repository, "show", f"parexec/{session()}/@merged:made") == "here"
    assert not (repository / "made").exists()


def test_without_an_engine_it_is_kept_for_the_next(tmp_path: Path) -> None:
    assert engines.run(tmp_path, "[tickets.a]\nrun = 'true'")[0] == 0
    plan = "[tickets.a]\nrun = 'true'\n[agents.agent]\n" + agent("codex", min=1) + ticket("b", "[say hi]")
    engines.write_plan(tmp_path, plan)
    told = parexec("reload", "--yes", cwd=tmp_path)
    assert "+ agent type codex  min 1, kind codex" in told
    with Registry.open(registry_file(), read_only=True) as registry:
        assert names(registry, session()).types == ["agent", "codex"]
    assert "b" in parexec("resume", "--headless", cwd=tmp_path)
    assert state_of().tickets["b"].end == End.succeeded
