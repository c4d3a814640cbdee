"""`parexec prune`, as a command and when a session ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from parexec_tui.cli.entry import cli
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.repair import check
from parexec_tui.settings import settings_file
from tests.engine.engines import run, until
from tests.keeping.kept import remember


def said(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == code, result.output
    return result.output


def listed() -> list[str]:
    return [json.loads(line)["session"] for line in said("ls", "--json").splitlines()]


def test_a_dry_run_says_what_would_go_and_why_others_stay_and_removes_nothing(tmp_path: Path) -> None:
    old, stopped, new = remember(tmp_path, 900), remember(tmp_path, 900, status="stopped"), remember(tmp_path, 900)

    lines = said("prune", "--keep", "1", "--older", "0", "-n").splitlines()

    assert lines[0].startswith(f"{old}  ended ")
    assert lines[1].startswith("1 session would be removed, ")
    assert lines[1].endswith("; the policy keeps 1: the newest 1 of each plan")
    assert lines[2] == f"{stopped} stays: it was stopped, and can go on; parexec resume {stopped}, or --stopped"
    assert listed() == [new, stopped, old]


def test_a_policy_that_keeps_none_keeps_none_of_a_time_that_is_still_to_come_either(tmp_path: Path) -> None:
    ahead = remember(tmp_path, -9000)

    lines = said("prune", "--keep", "0", "--older", "0").splitlines()

    assert lines[0].startswith(f"{ahead}  ended ")
    assert lines[1].endswith("; the policy keeps none")
    assert listed() == []


def test_what_is_removed_is_in_no_list_and_show_says_it_is_not_there(tmp_path: Path) -> None:
    old, new = remember(tmp_path, 900), remember(tmp_path, 900)

    facts = json.loads(said("prune", "--keep", "1", "--older", "0", "--json"))

    assert [each["session"] for each in facts["removed"]] == [old]
    assert (facts["spared"], facts["stay"], facts["remnants"], facts["failed"]) == ([], 1, [], [])
    assert facts["size"] == facts["removed"][0]["size"] > 0
    assert listed() == [new]
    assert f"session {old} was pruned" in said("show", old, code=2)
    assert not session_folder(old).path.exists()


def test_after_much_was_removed_the_registry_gets_smaller(tmp_path: Path) -> None:
    old, _ = remember(tmp_path, 900), remember(tmp_path)
    with Registry.open(registry_file()) as registry:
        registry.append(old, [(seq, 0.0, "Noted", b'"%s"' % (b"x" * 2**20)) for seq in range(2, 12)])
    before = registry_file().stat().st_size

    said("prune", "--keep", "1", "--older", "0")

    until(lambda: registry_file().stat().st_size < before - 8 * 2**20, "it is smaller")
    assert check(registry_file()).damage == ""


def test_the_defaults_are_those_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    old = remember(tmp_path, 990)
    remember(tmp_path, 980)
    assert json.loads(said("prune", "-n", "--json"))["removed"] == []
    settings_file().parent.mkdir(parents=True)

    settings_file().write_text('[prune]\nkeep = 1\nolder = "1d"\n')

    assert [each["session"] for each in json.loads(said("prune", "-n", "--json"))["removed"]] == [old]
    settings_file().write_text('[prune]\nkeep = "1"\n')
    assert "2:1: prune.keep" in said("prune", code=2)
    assert "is not a duration" in said("prune", "--older", "soon", code=2)


def test_a_session_that_ends_prunes_only_if_the_settings_say_so(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings_file().parent.mkdir(parents=True)
    old = [remember(here, 900), remember(here, 900)]
    plan = '[tickets.a]\nrun = "true"\n'
    run(here, plan)
    assert len(listed()) == 3

    settings_file().write_text('[prune]\nkeep = 1\nolder = "0s"\nautomatic = true\n')
    run(here, plan)

    until(lambda: old[0] not in listed(), "the oldest is pruned")
    until(lambda: not session_folder(old[0]).path.exists(), "its folder is gone")
    assert old[1] in listed()
