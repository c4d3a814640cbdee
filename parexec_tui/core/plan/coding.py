"""Agents that are coding CLIs: which one an agent type runs, what it may do, and with whom it shares an account."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from parexec_tui.core.plan.agent_type import AgentType

Kind = Literal["claude", "codex", "gemini", "opencode", "acp"]
"""Which CLI: Claude Code, Codex, Gemini CLI, OpenCode, or any that speaks the Agent Client Protocol."""

Permissions = Literal["read", "sandbox", "edit", "all"]
"""What such an agent may do: look; edit, and run commands in a sandbox; edit, and run none; everything."""

Price = Annotated[float, Meta(ge=0, le=1_000_000)]


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a million tokens cost, in US dollars."""

    input: Annotated[Price, Meta(description="Tokens that are read anew.")]
    output: Annotated[Price, Meta(description="Tokens that are written.")]
    cached: Annotated[Price | None, Meta(description="Tokens that come from a cache; absent: as `input`.")] = None


KINDS: Final[tuple[str, ...]] = get_args(Kind)

PROGRAMS: Final[Mapping[str, str]] = {
    "claude": "claude",
    "codex": "codex",
    "gemini": "gemini",
    "opencode": "opencode",
}
"""By kind the program that is started."""

TESTED: Final[Mapping[str, str]] = {
    "claude": "2.1.332",
    "codex": "0.171.0",
    "gemini": "0.61.0",
    "opencode": "1.18.33",
}
"""By kind the version that this was tested with; one of the same first two numbers counts as tested."""

WITH_SANDBOX: Final = frozenset(("claude", "codex", "gemini"))
"""Kinds that have a sandbox of their own, or a mode that comes near one. The others have to be told what they may."""

ASKING: Final = frozenset(("claude", "acp"))
"""Kinds that can ask a person while they run, and wait for the answer."""

TAKES_RULES: Final = frozenset(("claude",))
"""Kinds that can be allowed one thing more, by a rule in their own words."""

OWN_FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "claude": (
        "-p",
        "--print",
        "--output-format",
        "--input-format",
        "--verbose",
        "--session-id",
        "--resume",
        "-r",
        "--continue",
        "-c",
        "--permission-mode",
        "--permission-prompts",
        "--permission-prompt-tool",
        "--dangerously-skip-permissions",
        "--max-budget-usd",
        "--model",
        "--worktree",
        "-w",
        "--settings",
        "--tools",
    ),
    "codex": (
        "exec",
        "resume",
        "--json",
        "-s",
        "--sandbox",
        "-m",
        "--model",
        "--dangerously-bypass-approvals-and-sandbox",
        "--yolo",
        "--worktree",
    ),
    "gemini": (
        "-o",
        "--output-format",
        "--approval-mode",
        "-y",
        "--yolo",
        "--session-id",
        "--resume",
        "-r",
        "-p",
        "--prompt",
        "-m",
        "--model",
        "-s",
        "--sandbox",
        "--worktree",
    ),
    "opencode": ("run", "--format", "-s", "--session", "-c", "--continue", "-m", "--model", "--auto"),
}
"""By kind the arguments that parexec gives itself: a person's own must not be among them."""


def is_minded(agent_type: "AgentType") -> bool:
    """Whether its attempts have a minder, which reads what the agent prints."""
    return agent_type.kind is not None or agent_type.speaks is not None


def account_of(name: str, agents: Mapping[str, "AgentType"]) -> str:
    """The account that an agent type works with. Types of one account rest together when it is limited."""
    agent_type = agents[name]
    return agent_type.account or agent_type.kind or name


def types_of_account(account: str, agents: Mapping[str, "AgentType"]) -> tuple[str, ...]:
    return tuple(name for name in agents if account_of(name, agents) == account and is_minded(agents[name]))


_RESUMES: Final[Mapping[str, tuple[str, ...]]] = {
    "claude": ("--resume",),
    "codex": ("resume",),
    "gemini": ("--resume",),
    "opencode": ("-s",),
}


def resume_words(agent_type: "AgentType", conversation: str) -> tuple[str, ...]:
    """Program and arguments that open a conversation in a terminal; empty: nothing is known that does."""
    kind = agent_type.kind or ""
    if kind not in _RESUMES:
        return ()
    return (agent_type.program or PROGRAMS[kind], *_RESUMES[kind], conversation)
