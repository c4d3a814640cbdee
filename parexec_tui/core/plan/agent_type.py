"""An agent type as the plan file has it, and which tickets it can run, with what limits."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from parexec_tui.core.plan.coding import PROGRAMS, Kind, Permissions, Prices
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.ticket import OnSilence, OnUnclaimed, Ticket
from parexec_tui.core.plan.units import Count, CountFromOne, Duration, Money

SHELL = ("/bin/sh", "-e", "-c")
"""What `run` is given to, as the last argument, unless a plan says otherwise: a failing line ends the command."""

SHELL_OF_OLD = ("/bin/sh", "-c")
"""What `run` was given to before a plan could name a shell."""

PLACEHOLDERS = ("run", "prompt", "prompt_file", "ticket", "attempt", "workdir", "note")
"""Names that are filled in where they stand in braces in an agent type's command."""

Words = Annotated[tuple[str, ...], Meta(min_length=1)]


class AgentType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kind of agent: how many there may be, what they can do, and how they run a ticket."""

    min: Annotated[Count, Meta(description="Fewest agents of this type while the plan runs.")] = 0
    max: Annotated[
        CountFromOne | None,
        Meta(description="Most agents of this type at once; absent: as many as the plan runs in parallel."),
    ] = None
    can: Annotated[tuple[str, ...], Meta(description="Capabilities that a ticket may require.")] = ()
    on: Annotated[
        tuple[str, ...],
        Meta(description="The [hosts] on which its agents run, `local` for this machine; absent: this machine."),
    ] = ()
    on_labels: Annotated[
        tuple[str, ...], Meta(description="Instead of `on`: its agents run on any of the [hosts] with these labels.")
    ] = ()
    requires_commands: Annotated[
        tuple[str, ...],
        Meta(
            description="Commands that must be there before a ticket starts on it; a minimal version "
            "may stand behind one: `git >= 2.38`."
        ),
    ] = ()
    requires_files: Annotated[
        tuple[str, ...],
        Meta(
            description="Paths or patterns, seen from the workdir, that must be there before a ticket starts on it."
        ),
    ] = ()
    requires_env: Annotated[
        tuple[str, ...],
        Meta(description="Environment variables that must be set, and not empty before a ticket starts on it."),
    ] = ()
    command: Annotated[
        Words | None,
        Meta(
            description="Program and arguments. {run}, {prompt}, {ticket}, {attempt}, {workdir} and {note} are "
            "filled in. "
            "Absent: the shell runs {run}.",
        ),
    ] = None
    shell: Annotated[
        Words | None,
        Meta(
            description="What `run` is given to: program and arguments, to which it is added. Absent: that of "
            "[plan]. It does not stand beside `command`."
        ),
    ] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables, over those of the engine.")] = {}
    env_file: Annotated[
        tuple[str, ...],
        Meta(
            description="Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. "
            "Seen from the file that names them; `path?`: may be missing."
        ),
    ] = ()
    secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="Environment variables whose values are secret: see [secrets]. They are kept nowhere, and "
            "masked in what its commands print."
        ),
    ] = ()
    cwd: Annotated[str | None, Meta(description="The folder its tickets run in, seen from the workdir.")] = None
    silence: Annotated[
        Duration | None,
        Meta(
            description="How long the command of a ticket may print nothing, if that does not say; absent: for ever."
        ),
    ] = None
    on_silence: Annotated[
        OnSilence | None, Meta(description="What happens then, unless the ticket says; absent: a person is told.")
    ] = None
    gates: Annotated[
        Gates, Meta(description="Gates of every ticket that an agent of this type runs, before the ticket's own.")
    ] = ()
    claims: Annotated[
        OnUnclaimed | None,
        Meta(
            description="When a ticket without `claims` wrote files that it does not claim: off, warn or enforce. "
            "Absent: warn with worktrees, else off."
        ),
    ] = None
    nice: Annotated[
        int, Meta(ge=-20, le=19, description="Niceness: higher leaves more CPU to others. The same as in `limits`.")
    ] = 0
    limits: Annotated[
        Limits | None,
        Meta(
            description="What the processes of an attempt may use at most: memory, cpu, processes, open_files, nice "
            "and io. Those of a ticket go first."
        ),
    ] = None
    kind: Annotated[
        Kind | None,
        Meta(
            description="The coding CLI that it is: claude, codex, gemini, opencode; acp: any that speaks the Agent "
            "Client Protocol, started by `command`. Its tickets have a `prompt`; what it says and does is read."
        ),
    ] = None
    speaks: Annotated[
        Literal["facts"] | None,
        Meta(description="facts: its command is a wrapper that tells facts into the file $PAREXEC_FACTS names."),
    ] = None
    program: Annotated[
        str,
        Meta(
            description="With `kind`: the program, if it is not the usual one in PATH; with a `/` in it, seen from "
            "the folder of the plan file."
        ),
    ] = ""
    args: Annotated[
        tuple[str, ...], Meta(description="With `kind`: more arguments, behind those that parexec gives.")
    ] = ()
    model: Annotated[str, Meta(description="With `kind`: the model; absent: what the CLI takes by itself.")] = ""
    permissions: Annotated[
        Permissions,
        Meta(
            description="With `kind`, what the agent may do. read: look; sandbox: edit, and run commands in a "
            "sandbox; edit: edit, and run no commands; all: everything."
        ),
    ] = "sandbox"
    ask: Annotated[
        Literal["nobody", "person"],
        Meta(
            description="With `kind`, what is done about what is not permitted. person: they are asked while it runs."
        ),
    ] = "nobody"
    account: Annotated[
        str,
        Meta(
            description="With `kind`: the account that it works with. Types of one account rest together when it is "
            "limited. Absent: the kind."
        ),
    ] = ""
    fallback: Annotated[
        tuple[str, ...],
        Meta(description="Agent types that take its tickets while its account is limited, or where it refuses them."),
    ] = ()
    budget: Annotated[
        Money | None,
        Meta(
            description="With `kind`: nothing new starts on it when what it spent in this session, and what is to be "
            "expected, come to so many dollars."
        ),
    ] = None
    prices: Annotated[
        Prices | None,
        Meta(
            description="With `kind`: dollars for a million tokens, where the CLI does not tell what it costs: "
            "{ input = 1.25, output = 10, cached = 0.125 }."
        ),
    ] = None
    limited: Annotated[
        tuple[str, ...],
        Meta(description="Regular expressions: an error of the provider that one of them finds means a usage limit."),
    ] = ()
    unavailable: Annotated[
        tuple[str, ...],
        Meta(description="Regular expressions: an error of the provider that one of them finds means an outage."),
    ] = ()
    isolation: Annotated[
        Literal["none", "worktree"] | None,
        Meta(
            description="worktree: each of its tickets works in a git worktree of its own, and what it did is merged "
            "when its gates hold; none: in the workdir. Absent: worktree with `kind` in a git repository, else none."
        ),
    ] = None
    base: Annotated[
        str, Meta(description="With worktrees: the commit at which the target branch begins if there is none yet.")
    ] = "HEAD"
    target: Annotated[
        str,
        Meta(
            description="With worktrees: the branch that is merged into, and is checked out nowhere; empty: "
            "parexec/SESSION/@merged."
        ),
    ] = ""
    copy: Annotated[
        tuple[str, ...],
        Meta(
            description="With worktrees: files and folders of the workdir that git ignores, of which each worktree "
            "gets a copy; `path?`: may be missing."
        ),
    ] = ()
    link: Annotated[
        tuple[str, ...],
        Meta(description="With worktrees: the same, of which each worktree gets a symbolic link to the original."),
    ] = ()
    on_conflict: Annotated[
        Literal["requeue", "hold", "priority"],
        Meta(
            description="With worktrees, when what a ticket did conflicts with what was merged meanwhile. requeue: "
            "it runs again on that; hold: a person decides; priority: the higher class wins, else it runs again."
        ),
    ] = "requeue"
    update_checkout: Annotated[
        bool,
        Meta(
            description="With worktrees, true: after each merge the branch of the workdir is fast-forwarded, if "
            "nothing there is uncommitted."
        ),
    ] = False

    @property
    def run_shell(self) -> tuple[str, ...] | None:
        """What `run` is given to; None if `command` says how a ticket is run.

        A plan that was read has `shell` in each type without a `command`. A type with neither is from a session of an
        earlier version, and keeps the shell it had.
        """
        if self.kind is not None or self.command not in (None, (*SHELL_OF_OLD, "{run}")):
            return None
        return self.shell or SHELL_OF_OLD

    @property
    def whole_command(self) -> tuple[str, ...]:
        """Program and arguments, with placeholders. A coding CLI is told its prompt on standard input."""
        if self.kind is not None:
            return (*(self.command or (self.program or PROGRAMS.get(self.kind, ""),)), "{prompt}")
        return self.command or (*(self.shell or SHELL_OF_OLD), "{run}")


def on_unclaimed(agent_type: AgentType, spec: Ticket) -> OnUnclaimed:
    """What is done when an attempt of a ticket on such an agent wrote what the ticket does not claim.

    Off also where nothing can be held against it: a ticket that says nothing of what it writes is left alone, unless
    that is to be enforced.
    """
    if spec.claims is None and agent_type.claims is None and agent_type.isolation != "worktree":
        return "off"
    rule = spec.claims or agent_type.claims or "warn"
    return rule if rule != "warn" or spec.writes or spec.outputs else "off"


def limits_of(agent_type: AgentType, spec: Ticket) -> Limits | None:
    """What an attempt of a ticket on such an agent may use at most; None: nothing is limited."""
    limits = agent_type.limits
    if agent_type.nice:
        limits = Limits(nice=agent_type.nice).over(limits)
    return limits if spec.limits is None else spec.limits.over(limits)


def eligible_types(agents: Mapping[str, AgentType], ticket: Ticket) -> tuple[str, ...]:
    """The agent types that can run a ticket, in plan order.

    Such a type is the one that the ticket names in `agent` (or any, if it names none), has all that it `requires`,
    and has in its command no `{run}`, `{prompt}` or `{prompt_file}` that the ticket leaves blank.
    """
    return tuple(
        name
        for name, agent_type in agents.items()
        if ticket.agent in (None, name) and has_capabilities(agent_type, ticket) and not blanks(agent_type, ticket)
    )


def with_fallbacks(agents: Mapping[str, AgentType], ticket: Ticket) -> tuple[str, ...]:
    """The same, and behind them those that take its tickets when they cannot: the fallbacks of these."""
    types = eligible_types(agents, ticket)
    found = dict.fromkeys(types)
    for name in types:
        for other in agents[name].fallback:
            if has_capabilities(agents[other], ticket) and not blanks(agents[other], ticket):
                found[other] = None
    return tuple(found)


def with_types(before: Mapping[str, AgentType], changes: Mapping[str, AgentType | None]) -> dict[str, AgentType]:
    """Agent types with some others among them; new ones stand behind."""
    after = {name: new for name, old in before.items() if (new := changes.get(name, old)) is not None}
    return after | {name: new for name, new in changes.items() if new is not None}


def has_capabilities(agent_type: AgentType, ticket: Ticket) -> bool:
    return set(agent_type.can).issuperset(ticket.requires)


def blanks(agent_type: AgentType, ticket: Ticket) -> tuple[str, ...]:
    """Which of `run`, `prompt` and `prompt_file` the agent type's command asks for and the ticket does not have."""
    prompt = ticket.prompt or (ticket.prompt_file if agent_type.kind is not None else "")
    return tuple(
        name
        for name, text in (("run", ticket.run), ("prompt", prompt), ("prompt_file", ticket.prompt_file))
        if not text.strip() and any(f"{{{name}}}" in word for word in agent_type.whole_command)
    )
