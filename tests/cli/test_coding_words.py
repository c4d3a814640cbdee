"""What is said of coding CLIs: each is a script that answers as the real one does."""

import shutil
import time
from pathlib import Path

import pytest

from parexec_tui.cli import coding_clis
from parexec_tui.cli.coding_clis import clis_in_path, clis_of, look_at, sandbox_of
from parexec_tui.cli.coding_words import coding_warnings, told_of
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from tests.repositories import new_repository

GIT = shutil.which("git")

CLAUDE = """
case "$*" in
--version) echo "2.1.340 (Claude Code)";;
"auth status") echo '{"loggedIn": false, "authMethod": "none"}'; exit 1;;
esac
"""
CODEX = """
echo "WARNING: proceeding, in /tmp/1.2.3" >&2
case "$*" in
--version) echo "codex-cli 0.150.0";;
"login status") echo "Logged in using ChatGPT" >&2;;
"sandbox -- true") echo "Landlock is not supported" >&2; exit 1;;
esac
"""
OPENCODE = """
case "$*" in
--version) echo 2.0.1;;
"auth list") printf '\\342\\224\\224  0 credentials\\n\\342\\224\\224  1 environment variable\\n';;
esac
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; with the shell that the scripts need."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("CODEX_API_KEY", "IS_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    return folder


def install(folder: Path, **scripts: str) -> None:
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def plan(folder: Path, agents: str, tickets: str = "[tickets.t]\nprompt = 'p'\n") -> Plan:
    return read_plan(f"{agents}\n{tickets}", source="plan.toml", folder=str(folder), format="toml")


def told(of: Plan | None) -> list[tuple[str, str]]:
    clis = clis_in_path() if of is None else clis_of(of)
    return [told_of(found) for found in look_at(clis, wants_login=True)]


AGENTS = """
[agents.a]
kind = "claude"
[agents.b]
kind = "codex"
[agents.c]
kind = "opencode"
permissions = "edit"
[agents.d]
kind = "gemini"
permissions = "edit"
[agents.e]
kind = "claude"
program = "/nowhere/claude"
"""


def test_each_cli_is_asked_itself(tmp_path: Path, path: Path) -> None:
    install(path, claude=CLAUDE, codex=CODEX, opencode=OPENCODE)
    assert told(plan(tmp_path, AGENTS)) == [
        (
            f"claude, for a: 2.1.340, {path}/claude; tested: 2.1.332; sandbox: bwrap and socat are not there; "
            "account: not logged in",
            "install the packages bubblewrap and socat; claude auth login, or set ANTHROPIC_API_KEY",
        ),
        (
            f"codex, for b: 0.150.0, {path}/codex; older than what was tested, 0.171.0; "
            "sandbox: `codex sandbox -- true` fails: Landlock is not supported; account: Logged in using ChatGPT",
            "update it; let it use Landlock, or install bubblewrap",
        ),
        (
            f"opencode, for c: 2.0.1, {path}/opencode; newer than what was tested, 1.18.33; "
            "sandbox: none of its own; account: it has credentials",
            "",
        ),
        ("gemini, for d: gemini is not found", "install it, or put its folder on PATH"),
        ("claude, for e: /nowhere/claude is not found", "install it, or put its folder on PATH"),
    ]


def test_what_no_plan_names_is_told_as_it_is(path: Path) -> None:
    assert told(None) == []
    install(path, codex=CODEX)
    [(text, remedy)] = told(None)
    assert "0.150.0" in text
    assert remedy == ""


def test_what_a_plan_brings_along_is_not_run(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    install(tmp_path, claude=f"echo > {tmp_path}/ran")
    [(text, _)] = told(plan(tmp_path, '[agents.a]\nkind = "claude"\nprogram = "./claude"\n'))
    assert "not asked, as the plan brings it along" in text
    assert not (tmp_path / "ran").exists()


def test_one_that_does_not_answer_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding_clis, "_WITHIN", 0.2)
    install(path, codex="/bin/sleep 60 & /bin/sleep 60")
    before = time.monotonic()
    [(text, _)] = told(None)
    assert time.monotonic() - before < 10
    assert "version unknown" in text


def test_claude_has_a_sandbox_where_bubblewrap_works(path: Path) -> None:
    install(path, socat="", bwrap="echo 'No permissions to create new namespace' >&2; exit 1")
    found = sandbox_of("claude", "claude")
    assert found is not None
    assert found.text == "bwrap can make none here: No permissions to create new namespace"
    install(path, bwrap="exit 0")
    found = sandbox_of("claude", "claude")
    assert found is not None
    assert found.is_there


def test_warnings_of_programs_and_permissions(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(path, claude=CLAUDE, codex=CODEX)
    agents = """
        [agents.a]
        kind = "claude"
        [agents.b]
        kind = "codex"
        permissions = "read"
        [agents.c]
        kind = "claude"
        permissions = "all"
    """
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert list(coding_warnings(plan(tmp_path, agents))) == [
        'agents a and c: permissions = "sandbox", and there is none here: bwrap and socat are not there; '
        'install the packages bubblewrap and socat, or write permissions = "edit" (no commands) or "all"',
        "agents.b: codex is 0.150.0, older than what was tested, 0.171.0",
        'agents.c: permissions = "all": it may do all that you may, with no sandbox around it',
        "agents.c: claude refuses that for root, unless IS_SANDBOX=1 says that this is a container",
    ]
    monkeypatch.setenv("IS_SANDBOX", "1")
    assert not [line for line in coding_warnings(plan(tmp_path, agents)) if "root" in line]


ONE_FOLDER = '[agents.a]\nkind = "opencode"\npermissions = "edit"\n'


@pytest.mark.parametrize(
    ("agents", "tickets", "expected"),
    [
        (ONE_FOLDER, "[tickets.A]\n[tickets.B]\n[tickets.C]\n", "A, B and C {} (3 pairs)"),
        (ONE_FOLDER, "[tickets.A]\n[tickets.B]\nneeds = ['A']\n[tickets.C]\nneeds = ['A']\n", "B and C {} (1 pair)"),
        (ONE_FOLDER, "[tickets.A]\n[tickets.B]\nwrites = ['b']\n", ""),
        (ONE_FOLDER, "[tickets.A]\nlocks = ['x']\n[tickets.B]\nlocks = ['x']\n", ""),
        (ONE_FOLDER, "[tickets.A]\n[tickets.B]\ncwd = 'sub'\n", ""),
        (f"{ONE_FOLDER}max = 1\n", "[tickets.A]\n[tickets.B]\n", ""),
        (f"{ONE_FOLDER}[plan]\nparallel = 1\n", "[tickets.A]\n[tickets.B]\n", ""),
        (ONE_FOLDER.replace('"edit"', '"read"'), "[tickets.A]\n[tickets.B]\n", ""),
        (f'{ONE_FOLDER}isolation = "worktree"\n', "[tickets.A]\n[tickets.B]\n", ""),
    ],
)
def test_tickets_that_may_edit_one_folder_at_once(
    tmp_path: Path, path: Path, agents: str, tickets: str, expected: str
) -> None:
    install(path, opencode=OPENCODE)
    found = list(coding_warnings(plan(tmp_path, f'{agents}[defaults]\nprompt = "p"\n', tickets)))
    begin = expected.format(f"may edit {tmp_path} at once")
    assert [line.partition(",")[0] if not expected else line[: len(f"tickets {begin}")] for line in found] == (
        [f"tickets {begin}"] if expected else []
    )


def test_what_would_keep_them_apart(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(path, opencode=OPENCODE, git=f'exec {GIT} "$@"')
    more = '[defaults]\nprompt = "p"\n'
    [line] = coding_warnings(plan(tmp_path, f"{ONE_FOLDER}{more}", "[tickets.A]\n[tickets.B]\n"))
    assert "make the workdir a git repository" in line
    new_repository(tmp_path)
    (tmp_path / "new").mkdir()
    [line] = coding_warnings(plan(tmp_path / "new", f"{ONE_FOLDER}{more}", "[tickets.A]\n[tickets.B]\n"))
    assert "commit the files of that folder" in line
    by_choice = f'{ONE_FOLDER}isolation = "none"\n{more}'
    [line] = coding_warnings(plan(tmp_path, by_choice, "[tickets.A]\n[tickets.B]\n"))
    assert 'leave isolation = "none" out' in line


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", "tickets.test: the workdir has nothing of what agents a did, which is merged into a branch: "),
        ("[[plan.gates]]\nrun = 'true'\n", "tickets.test and the gates of the plan: the workdir has"),
        ("[agents.shell]\nisolation = 'worktree'\n", ""),
    ],
)
def test_who_looks_where_the_work_is_not(tmp_path: Path, path: Path, more: str, expected: str) -> None:
    install(path, opencode=OPENCODE)
    agents = f'{ONE_FOLDER}isolation = "worktree"\n{more if "shell" in more else "[agents.shell]" + chr(10) + more}'
    tickets = "[tickets.A]\nagent = 'a'\nprompt = 'p'\n[tickets.test]\nagent = 'shell'\nneeds = ['A']\nrun = 'true'\n"
    found = list(coding_warnings(plan(tmp_path, agents, tickets)))
    assert [line[: len(expected)] for line in found] == ([expected] if expected else [])
    seen = agents.replace('isolation = "worktree"', 'isolation = "worktree"\nupdate_checkout = true', 1)
    assert list(coding_warnings(plan(tmp_path, seen, tickets))) == []


def test_what_is_said_in_vain_is_told(tmp_path: Path) -> None:
    said = "ask = 'person'\nlimited = ['quota', '(a+)+$']\n"
    agents = "".join(f"[agents.{kind}]\nkind = '{kind}'\n{said}" for kind in ("claude", "codex"))
    found = [each for each in coding_warnings(plan(tmp_path, agents)) if "nothing" in each]
    slow = ": '(a+)+$' takes for ever on some texts, and then finds nothing: leave out one repetition of those inside"
    assert found == [
        f"agents.claude.limited[1]{slow} each other",
        'agents.codex: ask = "person" does nothing: codex can ask nobody while it runs; claude and acp can; '
        "`on_denied` says what follows instead",
        f"agents.codex.limited[1]{slow} each other",
    ]


def test_a_fallback_that_can_run_nothing_is_told(tmp_path: Path) -> None:
    agents = (
        "[agents.claude]\nkind = 'claude'\nfallback = ['s', 'codex']\n[agents.codex]\nkind = 'codex'\n[agents.s]\n"
    )
    text = "agents.claude: its fallback s can run none of its tickets"
    assert [each for each in coding_warnings(plan(tmp_path, agents)) if "fallback" in each] == [text]
    both = "[tickets.t]\nprompt = 'p'\nrun = 'true'\nagent = 'claude'\n"
    assert not [each for each in coding_warnings(plan(tmp_path, agents, both)) if "fallback" in each]
