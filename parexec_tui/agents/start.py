"""How each CLI is started: its arguments and environment, and the reader of what it prints.

The prompt goes to standard input, always: one argument holds at most 128 KiB.
"""

import json
from typing import NamedTuple

from parexec_tui.agents.brief import Brief
from parexec_tui.agents.streams.reader import Reader


class Start(NamedTuple):
    """A CLI to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    """What is added to its environment."""
    reader: Reader


OF_ANOTHER_AGENT = (
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    "GEMINI_CLI",
    "OPENCODE",
    "OPENCODE_SESSION_ID",
)
"""Variables by which a CLI notices that it runs inside another: they are taken away, so that parexec works there."""

PROGRAMS = {"claude": "claude", "codex": "codex", "gemini": "gemini", "opencode": "opencode"}
"""By kind what its program is called."""

CHOOSES_CONVERSATION = frozenset(("claude", "gemini"))
"""The kinds that take the id of a new conversation from us: it is known before a word of it."""

_SANDBOX = {
    "sandbox": {
        "enabled": True,
        "autoAllowBashIfSandboxed": True,
        "failIfUnavailable": True,  # without it Claude Code warns, and runs unsandboxed
        "allowUnsandboxedCommands": False,
    }
}

_CLAUDE = {
    "read": ("--tools", "Read,Grep,Glob", "--permission-mode", "dontAsk"),
    "sandbox": ("--permission-mode", "acceptEdits", "--settings", json.dumps(_SANDBOX)),
    "edit": ("--permission-mode", "acceptEdits", "--disallowedTools", "Bash"),
    "all": ("--dangerously-skip-permissions",),
}
_CODEX_WRITES = ("-s", "workspace-write", "-c", "sandbox_workspace_write.exclude_slash_tmp=true")
_CODEX = {
    "read": ("-s", "read-only"),
    "sandbox": _CODEX_WRITES,
    "edit": _CODEX_WRITES,
    "all": ("-s", "danger-full-access"),
}
_GEMINI = {
    "read": ("--approval-mode", "plan"),
    "sandbox": ("--approval-mode", "yolo", "-s"),
    "edit": ("--approval-mode", "auto_edit"),
    "all": ("--approval-mode", "yolo"),
}
_OPENCODE = {
    "read": {"edit": "deny", "bash": "deny"},
    "edit": {"edit": "allow", "bash": "deny"},
}
_ACP_MODES = {
    "read": ("plan", "read-only", "chat", "ask"),
    "sandbox": ("acceptEdits", "auto_edit", "autoEdit", "agent", "approve", "smart_approve"),
    "edit": ("acceptEdits", "auto_edit", "autoEdit", "agent", "approve", "smart_approve"),
    "all": ("bypassPermissions", "yolo", "agent-full-access", "auto"),
}


def start_of(brief: Brief, *, folder: str, in_git: bool) -> Start:
    """How the CLI of a brief is started in a folder.

    `in_git`: whether the folder is in a git repository: Codex refuses to work elsewhere unless told.
    """
    match brief.kind:
        case "claude":
            return _claude(brief)
        case "codex":
            return _codex(brief, in_git=in_git)
        case "gemini":
            return _gemini(brief)
        case "opencode":
            return _opencode(brief)
        case "acp":
            return _acp(brief, folder)
        case _:
            return _told(brief)


def _claude(brief: Brief) -> Start:
    from parexec_tui.agents.streams.claude import ClaudeReader

    argv = [*(brief.program or ("claude",)), "-p", "--output-format", "stream-json", "--verbose"]
    if brief.asks:
        argv += ["--input-format", "stream-json", "--permission-prompt-tool", "stdio"]
    else:
        argv += ["--permission-prompts", "none"]
    argv += _CLAUDE[brief.permissions]
    if brief.allow:
        argv += ["--allowedTools", *brief.allow]
    if brief.model:
        argv += ["--model", brief.model]
    if brief.caps.cost is not None:  # counted from the start of the process, not of the conversation
        argv += ["--max-budget-usd", f"{max(brief.caps.cost, 0.0001):.4f}"]
    if brief.conversation:
        argv += ["--resume" if brief.goes_on else "--session-id", brief.conversation]
    reader = ClaudeReader(asks=brief.asks, before=brief.before, patterns=brief.patterns)
    env = {"CLAUDE_CODE_MAX_RETRIES": "4", "DISABLE_AUTOUPDATER": "1"}
    return Start((*argv, *brief.args), env, reader)


def _codex(brief: Brief, *, in_git: bool) -> Start:
    from parexec_tui.agents.streams.codex import CodexReader

    argv = [*(brief.program or ("codex",)), "exec", "--json", *_CODEX[brief.permissions]]
    if not in_git:
        argv.append("--skip-git-repo-check")
    if brief.model:
        argv += ["-m", brief.model]
    argv += brief.args
    if brief.goes_on:  # its options stand before `resume`
        argv += ["resume", brief.conversation]
    return Start((*argv, "-"), {}, CodexReader(before=brief.before, patterns=brief.patterns))


def _gemini(brief: Brief) -> Start:
    from parexec_tui.agents.streams.gemini import GeminiReader

    argv = [*(brief.program or ("gemini",)), "-o", "stream-json", *_GEMINI[brief.permissions]]
    if brief.model:
        argv += ["-m", brief.model]
    if brief.conversation:
        argv += ["--resume" if brief.goes_on else "--session-id", brief.conversation]
    env = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}  # a new worktree is untrusted otherwise
    return Start((*argv, *brief.args), env, GeminiReader(before=brief.before, patterns=brief.patterns))


def _opencode(brief: Brief) -> Start:
    from parexec_tui.agents.streams.opencode import OpencodeReader

    argv = [*(brief.program or ("opencode",)), "run", "--format", "json"]
    if brief.permissions == "all":
        argv.append("--auto")
    if brief.model:
        argv += ["-m", brief.model]
    if brief.goes_on:
        argv += ["-s", brief.conversation]
    env = {"OPENCODE_DISABLE_AUTOUPDATE": "1"}
    if rules := _OPENCODE.get(brief.permissions):
        env["OPENCODE_PERMISSION"] = json.dumps(rules)
    return Start((*argv, *brief.args), env, OpencodeReader(before=brief.before, patterns=brief.patterns))


def _acp(brief: Brief, folder: str) -> Start:
    from parexec_tui.agents.streams.acp import AcpReader

    reader = AcpReader(
        folder=folder,
        conversation=brief.conversation if brief.goes_on else "",
        modes=_ACP_MODES[brief.permissions],
        allows=None if brief.asks else brief.permissions == "all",
        before=brief.before,
        patterns=brief.patterns,
    )
    return Start((*brief.program, *brief.args), {}, reader)


def _told(brief: Brief) -> Start:
    from parexec_tui.agents.streams.told import FactsReader

    env = {"PAREXEC_FACTS": told_file(brief), "PAREXEC_ANSWERS": brief.answers}
    if brief.goes_on:
        env["PAREXEC_CONVERSATION"] = brief.conversation
    return Start((*brief.program, *brief.args), env, FactsReader(patterns=brief.patterns))


def told_file(brief: Brief) -> str:
    """The file that a wrapper writes its facts to. The minder passes them on."""
    return f"{brief.facts}.told"
