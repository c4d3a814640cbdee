"""The real coding CLIs through the real engine, without a network: `python -m tests.agents.real_agents`.

Installs the versions that the readers were written with, into `--folder`, and runs one plan on each in a namespace of
the network that has only a loopback, on which `fake_api` answers. Prints how each ticket ended, how long it took, and
what it printed that the recordings do not have; exits 1 if an end is not the expected one. `--latest` takes
the newest releases. Needs npm, Node and `unshare` (util-linux).
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from parexec_tui.core.plan.coding import TESTED
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.status import End
from parexec_tui.paths import RUNTIME_DIR, STATE_HOME
from tests.agents.fake_api import FakeApi
from tests.agents.recorded import FOLDER as RECORDINGS
from tests.engine.engines import Engine, attempts_folder, happened, state_of
from tests.engine.lifecycle.detached import parexec

PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}

_WITHIN = 240.0
_LONG = "many words, quotes \" ' and $(x) {y}\n" * 8_000


class Case(NamedTuple):
    """A ticket, and how its first attempt must end on each kind."""

    prompt: str
    end: End
    permissions: str = "all"


CASES = {
    "text": Case("SCENARIO=text", End.succeeded),
    "tool": Case("SCENARIO=sh <sh>echo hi > tool.txt; cat tool.txt</sh>", End.succeeded),
    "long": Case(f"{_LONG} SCENARIO=text", End.succeeded),
    "read": Case("SCENARIO=text", End.succeeded, "read"),
    "stopped": Case("SCENARIO=sh <sh>while :; do echo x >> ticks.KIND; sleep 0.2; done</sh>", End.cancelled),
    "limit": Case("SCENARIO=limit", End.limited),
    "auth": Case("SCENARIO=auth", End.not_logged_in),
    "refuse": Case("SCENARIO=refuse", End.refused),
    "edit": Case("SCENARIO=text", End.succeeded, "edit"),
    "sandbox": Case("SCENARIO=text", End.succeeded, "sandbox"),
    "resumes": Case("SCENARIO=text", End.failed),
}
"""`resumes` has a gate that fails once: its second attempt goes on in the conversation of the first."""

TOKENS = {"claude": 1200, "codex": 700, "gemini": 700, "opencode": 700}
"""Tokens read anew by one answer, as each counts them."""

DIFFERENT = {(kind, "refuse"): End.failed for kind in ("codex", "gemini", "opencode")}
"""They end a turn that is empty as if it were one: the reader says that it did nothing."""
DIFFERENT["opencode", "limit"] = End.unavailable  # it waits without a word, and is ended for that
if shutil.which("bwrap") is None:
    DIFFERENT["claude", "sandbox"] = End.bad_setup  # Claude Code is told not to go on without


def cases_of(kind: str) -> dict[str, Case]:
    """Those that it can be put to: without a container, Gemini CLI has no sandbox, and OpenCode has none at all."""
    return {name: case for name, case in CASES.items() if name != "sandbox" or kind in ("claude", "codex")}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "parexec-real-agents"))
    parser.add_argument("--kinds", nargs="*", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--latest", action="store_true", help="the newest releases, not those that were recorded")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    tools = options.folder / ("latest" if options.latest else "pinned")
    if not options.inside:
        install(tools, options.kinds, latest=options.latest)
        unshare = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
        setup = 'ip link set lo up && exec "$@"'
        words = [sys.executable, "-m", "tests.agents.real_agents", "--inside", *sys.argv[1:]]
        return subprocess.run([*unshare, "sh", "-c", setup, "sh", *words], check=False).returncode
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="real-agents-") as above:
        for kind in options.kinds:
            folder = Path(above, kind)
            folder.mkdir()
            wrong += run(kind, tools / "node_modules" / ".bin" / kind, folder)
    return 1 if wrong else 0


def install(folder: Path, kinds: list[str], *, latest: bool) -> None:
    """Have npm install what is not there; the newest, where that is wanted, also if another is there."""
    missing = [kind for kind in kinds if latest or not (folder / "node_modules" / ".bin" / kind).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{PACKAGES[kind]}@{'latest' if latest else TESTED[kind]}" for kind in missing]
    npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *names]
    subprocess.run(npm, check=True)
    if "claude" in missing:  # its program is put in place by a script of its own, which npm may not run
        package = folder / "node_modules" / "@anthropic-ai" / "claude-code"
        subprocess.run(["node", "install.cjs"], cwd=package, check=True)


def run(kind: str, program: Path, folder: Path) -> int:
    """Run the plan on one kind; how many ends were wrong."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"\n{kind}: {version}")
    with FakeApi() as api, environment(kind, api.url, folder):
        (folder / "plan.toml").write_text(plan_of(kind, program), encoding="utf-8")
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        work(kind, folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        ended = {each.ticket: each for each in reversed(happened(ev.AttemptEnded))}
        started = {each.ticket: each.at for each in reversed(happened(ev.AttemptStarted))}
        wrong = 0
        for name, case in cases_of(kind).items():
            end = ended[name]
            expected = DIFFERENT.get((kind, name), case.end)
            wrong += end.end is not expected
            seconds = end.at - started[name]
            verdict = "" if end.end is expected else f"   WRONG: {expected} was expected"
            print(f"  {name:<8} {end.end!s:<14} {seconds:5.1f} s  {told_of(end)}{verdict}")
        _, second = happened(ev.AttemptEnded, ticket="resumes")
        state = state_of()
        used = coding_of(state, state.tickets["resumes"]).figures
        known = {each.conversation for each in happened(ev.ConversationKnown, ticket="resumes")}
        once, twice = TOKENS[kind], None if used is None else used.inp
        is_same = second.end is End.succeeded and len(known) == 1 and twice == 2 * once
        wrong += not is_same
        print(f"  {'went' if is_same else 'WRONG: did not go'} on in its conversation: {used}")
        for rest in happened(ev.AccountRests):
            print(f"  {rest.account} rests for {rest.until - rest.at:.0f} s{' (a guess)' if rest.is_guess else ''}")
        print(f"  {time.monotonic() - began:.1f} s in all, {cpu:.1f} s of CPU")
        for shape in sorted(shapes(attempts_folder()) - shapes(RECORDINGS / kind)):
            print(f"  not in the recordings: {shape}")
        assert state_of().status in ("stopped", "finished")
    return wrong


def work(kind: str, folder: Path) -> None:
    """Run the plan until each ticket has ended once: those that a limit holds up are not waited for."""
    engine = Engine("run", folder / "plan.toml", cwd=folder)
    try:
        engine.until((folder / f"ticks.{kind}").exists, "a tool works", _WITHIN)
        parexec("cancel", "stopped", "--yes", cwd=folder)
        engine.until(
            lambda: len({each.ticket for each in happened(ev.AttemptEnded)}) == len(cases_of(kind)),
            "all have ended",
            _WITHIN,
        )
        engine.until(lambda: len(happened(ev.AttemptEnded, ticket="resumes")) == 2, "one has gone on", _WITHIN)
    finally:
        engine.signal(signal.SIGTERM)
        engine.wait(_WITHIN)


def told_of(end: ev.AttemptEnded) -> str:
    figures = end.figures
    if figures is None:
        return end.reason
    told = [f"${figures.cost:.4f}" if figures.cost is not None else "cost unknown"]
    told += [f"{value} {name}" for name, value in (("in", figures.inp), ("out", figures.out)) if value is not None]
    return f"{', '.join(told)}  {end.reason.splitlines()[0][:60] if end.reason else ''}".rstrip()


def plan_of(kind: str, program: Path) -> str:
    """Each case has an agent type with an account of its own: so none stops another."""
    env = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "fake"} if kind == "claude" else {}
    model = {"gemini": "fake-model", "opencode": "fake/fake-model"}.get(kind, "")
    lines = ["[plan]", "parallel = 2", "[defaults]", "retries = 1", 'retry_delay = "1s"']
    for name, case in cases_of(kind).items():
        told: dict[str, object] = {"kind": kind, "program": str(program), "permissions": case.permissions, "max": 1}
        told |= {"account": name, "isolation": "none", **({"model": model} if model else {})}
        if (kind, name) == ("opencode", "limit"):
            told["silence"] = "5s"
        lines += [f"[agents.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in told.items())]
        if name == "limit" and env:
            lines.append(f"env = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in env.items())} }}")
        if name == "resumes":
            lines.append('gates = ["test -e gate || { touch gate; exit 1; }"]')
        lines += [
            f"[tickets.{name}]",
            f'agent = "{name}"',
            f"prompt = {json.dumps(case.prompt.replace('KIND', kind))}",
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def environment(kind: str, url: str, folder: Path) -> Iterator[None]:
    """Homes of its own for the CLI and for parexec, and the fake API for both."""
    before = dict(os.environ)
    home = folder / "home"
    (home / ".codex").mkdir(parents=True)
    provider = f'name = "fake"\nbase_url = "{url}/v1"\nenv_key = "FAKE_KEY"\nwire_api = "responses"\n'
    config = f'model = "fake-model"\nmodel_provider = "fake"\n[model_providers.fake]\n{provider}'
    (home / ".codex" / "config.toml").write_text(config + "request_max_retries = 1\nstream_max_retries = 1\n")
    (home / ".gemini").mkdir()
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (home / ".gemini" / "settings.json").write_text(json.dumps(chosen))
    fake = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"fake-model": {"name": "fake"}}}
    fake["options"] = {"baseURL": f"{url}/v1", "apiKey": "fake"}
    (folder / "opencode.json").write_text(json.dumps({"provider": {"fake": fake}, "model": "fake/fake-model"}))
    for name, variable in (("state", STATE_HOME), ("run", RUNTIME_DIR)):
        (folder / name).mkdir(mode=0o700)
        os.environ[variable] = str(folder / name)
    own = {"HOME": str(home), "CODEX_HOME": str(home / ".codex"), "FAKE_KEY": "fake", "IS_SANDBOX": "1"}
    own |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "fake", "XDG_CONFIG_HOME": str(folder / "config")}
    own |= {"GEMINI_API_KEY": "fake", "GOOGLE_GEMINI_BASE_URL": url, "OPENCODE_CONFIG": str(folder / "opencode.json")}
    own |= {"XDG_DATA_HOME": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache")}
    own |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    os.environ.update(own)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)


def shapes(folder: Path) -> set[str]:
    """What kinds of events there are: type, subtype, and type of the item."""
    found = set()
    for file in [*folder.glob("*.stream"), *folder.glob("*.jsonl")]:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                item = event.get("item")
                words = [
                    event.get("type"),
                    event.get("subtype"),
                    item.get("type") if isinstance(item, dict) else None,
                ]
                found.add("/".join(str(word) for word in words if word))
    return found


if __name__ == "__main__":
    sys.exit(main())
