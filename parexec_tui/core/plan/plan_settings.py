"""What holds for a plan as a whole: its `[plan]` table, and its hooks."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from parexec_tui.core.plan.agent_type import SHELL, Words
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.units import MAX_COUNT, CountFromOne, Duration, Money, Size

MIN_LOG = 64 * 1024
"""The smallest `max_log` in bytes: what is kept must have room for some lines."""

Parallel = CountFromOne | Literal["auto"]

FailurePolicy = Literal["continue", "hold", "stop"]
"""When a ticket fails for good: carry on, start nothing new, or end what runs."""


class PlanSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `[plan]` table: what holds for the plan as a whole."""

    name: Annotated[str, Meta(description="What the plan is called; absent: the name of its file.")] = ""
    parallel: Annotated[
        Parallel | None,
        Meta(
            description="Most tickets at once; auto: as many as finish most work per time, which the engine finds "
            "out; absent: the number of CPUs of the host."
        ),
    ] = None
    on_failure: Annotated[
        FailurePolicy,
        Meta(description="When a ticket fails: carry on, start nothing new, or end what runs."),
    ] = "continue"
    barrier: Annotated[
        bool,
        Meta(description="True: a dependency group starts only when the one before it is accounted for."),
    ] = False
    budget: Annotated[
        Money | None,
        Meta(
            description="No attempt of a coding agent starts when what they spent in this session, and what is to be "
            "expected, come to so many dollars; what runs may finish."
        ),
    ] = None
    gates: Annotated[
        Gates,
        Meta(
            description="Commands that must succeed when all tickets have, before those with `finally` start: only "
            "then the session has succeeded."
        ),
    ] = ()
    finally_timeout: Annotated[
        Duration,
        Meta(description="How long a ticket with `finally` may run that has no `timeout` of its own."),
    ] = Duration(600)
    on_engine_loss: Annotated[
        Literal["leave", "kill"],
        Meta(
            description="When the engine died and cannot be started again: what runs goes on and can be taken over "
            "later, or is ended."
        ),
    ] = "leave"
    min_free_disk: Annotated[
        Size,
        Meta(description="Nothing new is started while less is free for the workdir or the state folder; 0: never."),
    ] = Size(2**30)
    max_log: Annotated[
        Size,
        Meta(
            description="The most that is kept of the output of an attempt: of a longer one its start and its newest "
            "end; 0: all of it."
        ),
    ] = Size(2**30)
    snapshot_limit: Annotated[
        Size,
        Meta(description="A ticket whose snapshot would have more bytes does not start."),
    ] = Size(2**30)
    keep_snapshots: Annotated[
        Size,
        Meta(
            description="The most bytes that the snapshots of tickets that are over may have together; of more, the "
            "oldest are deleted."
        ),
    ] = Size(10 * 2**30)
    keep_worktrees: Annotated[
        Size,
        Meta(
            description="The most bytes that the worktrees of tickets that are over may have together; of more, the "
            "oldest are removed, and what they have is committed to their branches first."
        ),
    ] = Size(10 * 2**30)
    keep_tmp: Annotated[
        Size,
        Meta(
            description="The most bytes that the TMPDIRs of failed attempts may have together, see `own_tmp`; of "
            "more, the oldest are deleted. 0: none is kept."
        ),
    ] = Size(2**30)
    reserve_after: Annotated[
        Duration,
        Meta(
            description="When a ticket has waited this long for resources or claims, the others may not delay it any "
            "more."
        ),
    ] = Duration(60)
    reserve_after_usual: Annotated[
        float,
        Meta(
            ge=0, le=MAX_COUNT, description="The same in usual durations of a ticket; the longer of the two counts."
        ),
    ] = 2
    order_search: Annotated[
        bool,
        Meta(
            description="Whether a better order than the longest path is searched for, where it is known how long "
            "tickets take."
        ),
    ] = True
    workdir: Annotated[str, Meta(description="The folder of the work, seen from the folder of the plan file.")] = "."
    shell: Annotated[
        Words,
        Meta(
            description="What `run` is given to: program and arguments, to which it is added. It holds for agent "
            "types that have neither `shell` nor `command`."
        ),
    ] = SHELL
    requires_commands: Annotated[
        tuple[str, ...],
        Meta(
            description="Commands that must be there before anything starts; a minimal version "
            "may stand behind one: `git >= 2.38`."
        ),
    ] = ()
    requires_files: Annotated[
        tuple[str, ...],
        Meta(description="Paths or patterns, seen from the workdir, that must be there before anything starts."),
    ] = ()
    requires_env: Annotated[
        tuple[str, ...],
        Meta(description="Environment variables that must be set, and not empty before anything starts."),
    ] = ()


class Hooks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Shell commands that are run when something happens. They get the facts as JSON on their standard input."""

    on_ticket_end: Annotated[str, Meta(description="A ticket is over, however it ended.")] = ""
    on_failure: Annotated[str, Meta(description="A ticket failed and will not be tried again.")] = ""
    on_needs_you: Annotated[
        str,
        Meta(
            description="Something waits for a person: a failed ticket, an approval, an agent in "
            "quarantine, a full disk."
        ),
    ] = ""
    on_session_end: Annotated[str, Meta(description="The session finished, or its engine left.")] = ""
    on_idle: Annotated[str, Meta(description="Nothing runs any more, though tickets are left.")] = ""
