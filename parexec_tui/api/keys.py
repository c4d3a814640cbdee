"""The keys of a plan and the types of their values, for the checker of your types: nothing imports this at run time.

Written by `python -m tests.api_keys`, from the JSON Schema of plans. A key that is a word of Python has a `_` at its
end here, and in calls: `finally_`.
"""

# fmt: off

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class GateCommandKeys(TypedDict, total=False):
    """A command that has to succeed."""

    name: str
    """What the gate is called; absent: by its command."""
    run: str
    """A shell command; the gate holds if it succeeds."""
    timeout: str | float | None
    """How long the command may take; absent: as long as it takes."""
    cwd: str | None
    """The folder it runs in, seen from the workdir; absent: that of the ticket."""
    retries: int
    """How often the command is tried again if it fails."""


class GateKeys(TypedDict, total=False):
    """One gate: a command, or several of which one has to pass."""

    name: str
    """What the gate is called; absent: by its command."""
    run: str
    """A shell command; the gate holds if it succeeds."""
    timeout: str | float | None
    """How long the command may take; absent: as long as it takes."""
    cwd: str | None
    """The folder it runs in, seen from the workdir; absent: that of the ticket."""
    retries: int
    """How often the command is tried again if it fails."""
    any: Sequence[str | GateCommandKeys]
    """Instead of `run`: commands that are tried in this order until one succeeds."""


class SettingKeys(TypedDict, total=False):
    """The `[plan]` table: what holds for the plan as a whole."""

    name: str
    """What the plan is called; absent: the name of its file."""
    parallel: int | Literal["auto"] | None
    """Most tickets at once; auto: as many as finish most work per time, which the engine finds out; absent: the
    number of CPUs of the host."""
    on_failure: Literal["continue", "hold", "stop"]
    """When a ticket fails: carry on, start nothing new, or end what runs."""
    barrier: bool
    """True: a dependency group starts only when the one before it is accounted for."""
    budget: str | None
    """No attempt of a coding agent starts when what they spent in this session, and what is to be expected, come to
    so many dollars; what runs may finish."""
    gates: Sequence[str | GateKeys] | GateKeys
    """Commands that must succeed when all tickets have, before those with `finally` start: only then the session has
    succeeded."""
    finally_timeout: str | float
    """How long a ticket with `finally` may run that has no `timeout` of its own."""
    on_engine_loss: Literal["kill", "leave"]
    """When the engine died and cannot be started again: what runs goes on and can be taken over later, or is
    ended."""
    min_free_disk: str | int
    """Nothing new is started while less is free for the workdir or the state folder; 0: never."""
    max_log: str | int
    """The most that is kept of the output of an attempt: of a longer one its start and its newest end; 0: all of
    it."""
    snapshot_limit: str | int
    """A ticket whose snapshot would have more bytes does not start."""
    keep_snapshots: str | int
    """The most bytes that the snapshots of tickets that are over may have together; of more, the oldest are
    deleted."""
    keep_worktrees: str | int
    """The most bytes that the worktrees of tickets that are over may have together; of more, the oldest are removed,
    and what they have is committed to their branches first."""
    keep_tmp: str | int
    """The most bytes that the TMPDIRs of failed attempts may have together, see `own_tmp`; of more, the oldest are
    deleted. 0: none is kept."""
    reserve_after: str | float
    """When a ticket has waited this long for resources or claims, the others may not delay it any more."""
    reserve_after_usual: float
    """The same in usual durations of a ticket; the longer of the two counts."""
    order_search: bool
    """Whether a better order than the longest path is searched for, where it is known how long tickets take."""
    workdir: str
    """The folder of the work, seen from the folder of the plan file."""
    shell: Sequence[str]
    """What `run` is given to: program and arguments, to which it is added. It holds for agent types that have neither
    `shell` nor `command`."""
    requires_commands: Sequence[str]
    """Commands that must be there before anything starts; a minimal version may stand behind one: `git >= 2.38`."""
    requires_files: Sequence[str]
    """Paths or patterns, seen from the workdir, that must be there before anything starts."""
    requires_env: Sequence[str]
    """Environment variables that must be set, and not empty before anything starts."""


class RunningCheckKeys(TypedDict, total=False):
    """One check: a command that must succeed, a file that must grow, words that must not be printed, or memory that
must not be used."""

    name: str
    """What the check is called; absent: by what it looks at."""
    run: str
    """A shell command: the check holds if it succeeds."""
    timeout: str | float | None
    """How long `run` may take; absent: as long as it takes."""
    grows: str
    """A pattern of files, seen from the workdir: one must grow or be written anew each time."""
    forbid: str
    """What no line of its output may have; `*` stands for anything in the line."""
    max_memory: str | int | None
    """The most memory that its processes may use together."""
    every: str | float | None
    """How often it is looked at; absent: each 10 seconds."""
    then: Literal["freeze", "stop", "warn"]
    """When the check fails: tell a person, freeze the ticket for one, or stop it: it has failed."""


class LimitsKeys(TypedDict, total=False):
    """What the processes of an attempt may use at most; what is not named is not limited."""

    memory: str | int | None
    """The most memory of its processes together, swap included; at least 4MiB."""
    cpu: float | None
    """How many CPUs its processes may keep busy together."""
    processes: int | None
    """How many processes and threads there may be at once."""
    open_files: int | None
    """How many files each of its processes may have open."""
    nice: int | None
    """Niceness: higher leaves more CPU to others."""
    io: Literal["idle", "low", "normal"] | None
    """How it gets to disks: `idle` only when nobody else wants them, `low` after others."""


class BudgetsKeys(TypedDict, total=False):
    """Retries by class. Neither uses up what the other has."""

    failed: int
    """After a failure of its own: an exit code, a signal, a timeout, memory, an output, a gate."""
    lost: int
    """After a failure of what it ran on: it was lost, or it could not start."""


class RetryUsesKeys(TypedDict, total=False):
    """What a ticket takes more of when it is tried again."""

    memory: str | None
    """After it ran out of memory: by what `uses` and `limits` are multiplied."""


class DefaultKeys(TypedDict, total=False):
    """One unit of work. Its id is its key in `Plan.tickets`."""

    title: str
    """What the ticket is about, in a line."""
    run: str
    """A shell command: what `{run}` stands for."""
    prompt: str
    """Text for an agent that reads prose: what `{prompt}` stands for."""
    prompt_file: str
    """A file with that text, read when an attempt starts; its path is what `{prompt_file}` stands for. Seen from the
    file that names it."""
    conversation: Literal["fresh", "resume"] | None
    """What another attempt of its coding agent does. resume: it goes on in the conversation of the one before; fresh:
    it begins one. Absent: resume, where `kind` says how."""
    from_: str
    """A ticket that it needs: its coding agent goes on in the conversation of that one."""
    on_denied: Literal["accept", "fail", "person"] | None
    """When its coding agent was not allowed something. person: it needs you; fail: it fails; accept: its gates
    decide. Absent: accept if it has gates or outputs, else person."""
    budget: str | None
    """The most dollars that coding agents may spend on it, in all its attempts; absent: as many as they want."""
    tokens: str | int | None
    """The most tokens that it may read anew and write, in all its attempts."""
    turns: int | None
    """The most turns that an attempt may take; then a person is asked whether it goes on."""
    needs: Sequence[str]
    """Ids of the tickets that must succeed before this one starts; `id?`: that must be over, and may have failed."""
    after: Sequence[str]
    """Ids of the tickets that must be over before this one starts, however they ended."""
    group: str
    """The [group.NAME] that it is in, which has gates; absent: none."""
    priority: Literal["critical", "high", "low", "medium"]
    """Its class: of the tickets that are ready, the higher class starts first."""
    agent: str | None
    """The agent type that runs it; absent: any that can."""
    requires: Sequence[str]
    """Capabilities that the agent type must have, all of them."""
    requires_commands: Sequence[str]
    """Commands that must be there before it starts; a minimal version may stand behind one: `git >= 2.38`."""
    requires_files: Sequence[str]
    """Paths or patterns, seen from the workdir, that must be there before it starts."""
    requires_env: Sequence[str]
    """Environment variables that must be set, and not empty before it starts."""
    reads: Sequence[str]
    """Patterns of the files it reads; whoever writes one of them does not run with it."""
    writes: Sequence[str]
    """Patterns of the files it writes; whoever reads or writes one does not run with it."""
    outputs: Sequence[str]
    """Patterns of what it must have written, not empty, when its command is over; `path?`: may be missing. They are
    claimed as `writes` are."""
    claims: Literal["enforce", "off", "warn"] | None
    """When its command wrote files that neither `writes` nor `outputs` covers: off: nobody looks; warn: you are told;
    enforce: it fails. Absent: as its agent type says."""
    gates: Sequence[str | GateKeys] | GateKeys
    """Commands that must succeed after its own before it counts as succeeded; those of [defaults] and of its agent
    type come first."""
    approve: Literal["after", "before", "no"]
    """Whether a person has to approve: before it starts, or after its command, outputs and gates, before it counts as
    succeeded."""
    when: str
    """Whether it is wanted, by variables and by what the tickets that it waits for told: `os == 'debian' and
    split.count > 0`. If not, it is skipped; absent: it is."""
    when_values: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool]]
    """What names in `when` stand for: an expanded plan has no variables."""
    if_done: Sequence[str]
    """Paths or patterns: if all of them are there, and not empty, before its first attempt, it counts as succeeded
    and is not run."""
    skip_if: str
    """A shell command that is run before its first attempt: if it succeeds, the ticket counts as succeeded and is not
    run."""
    up_to_date: bool
    """True: it is not run if its command, its variables and all files that `reads`, `writes` and `outputs` cover are
    as after its last success, in any session of this plan file."""
    depfile: str
    """A file, seen from the folder that it runs in, in which its command says what it read, as rules of make (`cc -MD
    -MF`): for `up_to_date`, that counts as `reads` does."""
    on_fail: Literal["keep", "rollback"]
    """When an attempt ends without success: leave what it did, or take it back by `rollback` and `snapshot`."""
    rollback: str
    """A shell command that takes back what an attempt did. It may be run more than once."""
    snapshot: bool
    """True: what `writes` and `outputs` cover is kept before each attempt, so that it can be restored."""
    snapshot_limit: str | int | None
    """The most bytes that its snapshot may have, see [plan]; absent: as [plan] says."""
    checks: Sequence[RunningCheckKeys]
    """What is looked at every so often while its command runs."""
    locks: Sequence[str]
    """Names that one ticket at a time may hold."""
    uses: Mapping[str, float | str | int]
    """What it takes of each resource while it runs: cpu, memory, [resources]."""
    limits: LimitsKeys | None
    """What its processes may use at most: { memory = "4GiB", cpu = 2, processes = 500, open_files = 4096, nice = 5,
    io = "idle" }; the rest is as its agent type says."""
    uses_service: Sequence[str]
    """Names of the [services] that must be ready before it starts, and that run while it does."""
    estimate: str | float | None
    """How long it takes, as far as you know."""
    timeout: str | float | None
    """How long its command, its `skip_if` and its `rollback` may take, each; absent: for ever."""
    silence: str | float | None
    """How long its command may print nothing before `on_silence` happens; 0: for ever; absent: as its agent type
    says."""
    on_silence: Literal["retry", "stop", "warn"] | None
    """When its command has printed nothing for `silence`: tell a person, stop it as a failure that its retries may
    take back, or stop it for good; absent: as its agent type says, else warn."""
    expect_codes: Sequence[int]
    """Exit codes of its command that count as success, all of them."""
    retries: int | BudgetsKeys
    """How many more attempts it has after a failed one; a table: `failed` after failures of its own, `lost` after
    being lost or unable to start."""
    retry_on: Sequence[str | int]
    """The failures that are tried again: exit codes, `signal 9`, and the words failed, timed out, out of memory,
    could not start, lost, outputs, claims, gate, check, service and signal; absent: all."""
    retry_uses: RetryUsesKeys | None
    """What it takes more of when it is tried again after it ran out of that: { memory = "x2" }; never more than there
    is."""
    allow_failure: bool
    """True: the session does not fail because this ticket failed; what needs it is skipped."""
    finally_: bool
    """True: it runs at the end, when all other tickets are over, however they ended; also before the session drains
    or stops."""
    retry_delay: str | float
    """The pause before the first retry; it doubles each time, with jitter."""
    freezable: bool
    """False: it is not frozen or stopped because the host is pressed; a person may freeze it."""
    grace: str | float
    """How long a ticket that is stopped has between TERM and KILL."""
    lease: str | float | None
    """How long it goes on while its host cannot be reached, before that ends it; never: it does not; absent: as its
    host says."""
    max_log: str | int | None
    """The most that is kept of its output, see max_log of [plan]; absent: as [plan] says."""
    own_tmp: bool
    """True: each attempt has a TMPDIR of its own, which is removed at its end, and kept if it failed; and its
    attempts share PAREXEC_SCRATCH, a folder that is removed when it has succeeded."""
    progress: str
    """How its output tells how far it is: a pattern with {percent}, or {n} and {m}, and {step}; off: not at all;
    absent: as common tools do."""
    env: Mapping[str, str]
    """Environment variables, over those of the agent type."""
    env_file: Sequence[str]
    """Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. Seen from the file
    that names them; `path?`: may be missing."""
    secrets: Sequence[str]
    """Environment variables whose values are secret: see [secrets]. They are kept nowhere, and masked in what its
    commands print."""
    cwd: str | None
    """The folder it runs in, seen from the workdir; absent: the agent type's."""
    family: str
    """The family that it is a member of; absent: none."""
    member: Mapping[str, str]
    """What tells it from the others of its family, by name."""
    generates: str
    """The family of the tickets that its command writes into the file $PAREXEC_TICKETS: they join the plan when it
    succeeds."""
    awaits: Mapping[str, Literal["after", "needs", "needs?"]]
    """The generated families that it waits for, and how it names them: in `needs`, with a `?` there, or in
    `after`."""


class PricesKeys(TypedDict, total=False):
    """What a million tokens cost, in US dollars."""

    input: float
    """Tokens that are read anew."""
    output: float
    """Tokens that are written."""
    cached: float | None
    """Tokens that come from a cache; absent: as `input`."""


class AgentKeys(TypedDict, total=False):
    """A kind of agent: how many there may be, what they can do, and how they run a ticket."""

    min: int
    """Fewest agents of this type while the plan runs."""
    max: int | None
    """Most agents of this type at once; absent: as many as the plan runs in parallel."""
    can: Sequence[str]
    """Capabilities that a ticket may require."""
    on: Sequence[str]
    """The [hosts] on which its agents run, `local` for this machine; absent: this machine."""
    on_labels: Sequence[str]
    """Instead of `on`: its agents run on any of the [hosts] with these labels."""
    requires_commands: Sequence[str]
    """Commands that must be there before a ticket starts on it; a minimal version may stand behind one: `git >=
    2.38`."""
    requires_files: Sequence[str]
    """Paths or patterns, seen from the workdir, that must be there before a ticket starts on it."""
    requires_env: Sequence[str]
    """Environment variables that must be set, and not empty before a ticket starts on it."""
    command: Sequence[str] | None
    """Program and arguments. {run}, {prompt}, {ticket}, {attempt}, {workdir} and {note} are filled in. Absent: the
    shell runs {run}."""
    shell: Sequence[str] | None
    """What `run` is given to: program and arguments, to which it is added. Absent: that of [plan]. It does not stand
    beside `command`."""
    env: Mapping[str, str]
    """Environment variables, over those of the engine."""
    env_file: Sequence[str]
    """Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. Seen from the file
    that names them; `path?`: may be missing."""
    secrets: Sequence[str]
    """Environment variables whose values are secret: see [secrets]. They are kept nowhere, and masked in what its
    commands print."""
    cwd: str | None
    """The folder its tickets run in, seen from the workdir."""
    silence: str | float | None
    """How long the command of a ticket may print nothing, if that does not say; absent: for ever."""
    on_silence: Literal["retry", "stop", "warn"] | None
    """What happens then, unless the ticket says; absent: a person is told."""
    gates: Sequence[str | GateKeys] | GateKeys
    """Gates of every ticket that an agent of this type runs, before the ticket's own."""
    claims: Literal["enforce", "off", "warn"] | None
    """When a ticket without `claims` wrote files that it does not claim: off, warn or enforce. Absent: warn with
    worktrees, else off."""
    nice: int
    """Niceness: higher leaves more CPU to others. The same as in `limits`."""
    limits: LimitsKeys | None
    """What the processes of an attempt may use at most: memory, cpu, processes, open_files, nice and io. Those of a
    ticket go first."""
    kind: Literal["acp", "claude", "codex", "gemini", "opencode"] | None
    """The coding CLI that it is: claude, codex, gemini, opencode; acp: any that speaks the Agent Client Protocol,
    started by `command`. Its tickets have a `prompt`; what it says and does is read."""
    speaks: Literal["facts"] | None
    """facts: its command is a wrapper that tells facts into the file $PAREXEC_FACTS names."""
    program: str
    """With `kind`: the program, if it is not the usual one in PATH; with a `/` in it, seen from the folder of the
    plan file."""
    args: Sequence[str]
    """With `kind`: more arguments, behind those that parexec gives."""
    model: str
    """With `kind`: the model; absent: what the CLI takes by itself."""
    permissions: Literal["all", "edit", "read", "sandbox"]
    """With `kind`, what the agent may do. read: look; sandbox: edit, and run commands in a sandbox; edit: edit, and
    run no commands; all: everything."""
    ask: Literal["nobody", "person"]
    """With `kind`, what is done about what is not permitted. person: they are asked while it runs."""
    account: str
    """With `kind`: the account that it works with. Types of one account rest together when it is limited. Absent: the
    kind."""
    fallback: Sequence[str]
    """Agent types that take its tickets while its account is limited, or where it refuses them."""
    budget: str | None
    """With `kind`: nothing new starts on it when what it spent in this session, and what is to be expected, come to
    so many dollars."""
    prices: PricesKeys | None
    """With `kind`: dollars for a million tokens, where the CLI does not tell what it costs: { input = 1.25, output =
    10, cached = 0.125 }."""
    limited: Sequence[str]
    """Regular expressions: an error of the provider that one of them finds means a usage limit."""
    unavailable: Sequence[str]
    """Regular expressions: an error of the provider that one of them finds means an outage."""
    isolation: Literal["none", "worktree"] | None
    """worktree: each of its tickets works in a git worktree of its own, and what it did is merged when its gates
    hold; none: in the workdir. Absent: worktree with `kind` in a git repository, else none."""
    base: str
    """With worktrees: the commit at which the target branch begins if there is none yet."""
    target: str
    """With worktrees: the branch that is merged into, and is checked out nowhere; empty: parexec/SESSION/@merged."""
    copy: Sequence[str]
    """With worktrees: files and folders of the workdir that git ignores, of which each worktree gets a copy; `path?`:
    may be missing."""
    link: Sequence[str]
    """With worktrees: the same, of which each worktree gets a symbolic link to the original."""
    on_conflict: Literal["hold", "priority", "requeue"]
    """With worktrees, when what a ticket did conflicts with what was merged meanwhile. requeue: it runs again on
    that; hold: a person decides; priority: the higher class wins, else it runs again."""
    update_checkout: bool
    """With worktrees, true: after each merge the branch of the workdir is fast-forwarded, if nothing there is
    uncommitted."""


class RaySpecKeys(TypedDict, total=False):
    """How a Ray cluster is reached."""

    address: str
    """Where its control plane answers: `head:6379`."""
    python: str
    """The Python of the cluster, which has its version of Ray; absent: `python3`."""
    via: str
    """A machine of the cluster that is reached by ssh: `user@head`; absent: this one is it."""
    token_file: str
    """A file with the token that the cluster asks for; only you may read it (mode 0600)."""


class HostSpecKeys(TypedDict, total=False):
    """Another machine, or a cluster, on which agents run."""

    ssh: str | None
    """How it is reached: `user@name`, as your own ~/.ssh/config knows it."""
    ray: RaySpecKeys | None
    """It is a Ray cluster: { address = 'head:6379' }."""
    workdir: str
    """The folder there in which tickets run, an absolute path; absent: that of the plan."""
    sync: Literal["git", "rsync", "shared"]
    """How files get there and back. shared: the workdir is the same there; git: by the worktrees of its agents;
    rsync: what tickets declare as `reads`, and as `writes` and `outputs`."""
    max: int | None
    """How many tickets run there at once; absent: as many as it has cpus."""
    labels: Sequence[str]
    """What it is, for `on_labels` of agent types."""
    resources: Mapping[str, float | str | int | Sequence[str | int]]
    """What there is there, as in [resources], for `uses` of tickets that run there."""
    lease: str | float
    """How long its tickets go on while it cannot be reached, before it ends them itself; never: it does not."""
    python: str
    """A Python from 3.8 on, there; absent: the `python3` of its PATH."""


class GroupKeys(TypedDict, total=False):
    """What is said of a group of tickets."""

    gates: Sequence[str | GateKeys] | GateKeys
    """Commands that must succeed when all tickets of the group have, before what needs one of them starts."""


class ServiceKeys(TypedDict, total=False):
    """A command that runs while tickets use it: started before the first of them, stopped after the last."""

    run: str
    """A shell command that goes on until it is stopped, in the foreground."""
    ready: str
    """When tickets may use it: `tcp:5432` or `http://localhost:8080/health` answers, its output has `log:TEXT` (`*`
    stands for anything in the line), or a shell command succeeds; absent: at once."""
    ready_timeout: str | float
    """How long it may take until it is ready; else it is stopped, and has died."""
    restart: Literal["always", "never"] | int
    """How often in all it is started again after it died while it was used."""
    restart_delay: str | float
    """The pause before it is started again; it doubles each time, up to a minute."""
    on_death: Literal["fail", "retry"]
    """When it dies, what becomes of the tickets that use it and run: they fail, or are stopped and run again, at no
    charge."""
    stop: str
    """A shell command that ends it; after `grace` it gets TERM. Absent: it gets TERM at once."""
    grace: str | float
    """How long it has between TERM and KILL, and for `stop`."""
    env: Mapping[str, str]
    """Environment variables, over those of the engine."""
    env_file: Sequence[str]
    """Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. Seen from the file
    that names them; `path?`: may be missing."""
    secrets: Sequence[str]
    """Environment variables whose values are secret: see [secrets]. They are kept nowhere, and masked in what its
    commands print."""
    cwd: str | None
    """The folder it runs in, seen from the workdir."""


class SecretSourceKeys(TypedDict, total=False):
    """Where the value of a secret comes from; one of these."""

    env: str
    """The environment variable of who starts the engine; absent: the one of its own name."""
    file: str
    """A file whose text it is, without line ends at its end; seen from the plan file."""
    env_file: str
    """A file with lines NAME=VALUE, in which it has its own name; seen from the plan file."""
    command: str
    """A shell command that prints it, in the workdir; it has a minute, and no terminal."""


class PressureKeys(TypedDict, total=False):
    """The `[pressure]` table."""

    memory: str | int | None
    """The host is pressed while less memory is available; 0: never; absent: a sixteenth of it, 96MiB to 4GiB."""
    memory_up_to: Literal["fewer", "freeze", "hold", "requeue", "warn"] | None
    """The last step that is taken; absent: requeue."""
    disk: str | int | None
    """The same of a disk of the session; absent: twice `min_free_disk` of [plan]."""
    disk_up_to: Literal["fewer", "freeze", "hold", "requeue", "warn"] | None
    """The last step that is taken; absent: freeze."""
    io: float | None
    """It is pressed while processes waited for disks in more than this share of the last 10 seconds, where the kernel
    tells (PSI); 0: never; absent: 0.95."""
    io_up_to: Literal["fewer", "freeze", "hold", "requeue", "warn"] | None
    """The last step that is taken; absent: warn."""
    cpu: float | None
    """It is pressed above this load per CPU (of one minute); 0: never; absent: 8."""
    cpu_up_to: Literal["fewer", "freeze", "hold", "requeue", "warn"] | None
    """The last step that is taken; absent: fewer."""
    step_after: str | float | None
    """How long it is waited after a step, up or down, whether it helped; absent: 10 seconds; a quarter of that while
    less than half of the memory or disk is left that it counts as pressed below."""


class OtelKeys(TypedDict, total=False):
    """The `[otel]` table."""

    enabled: bool | None
    """Whether the spans of the session are sent while it runs; absent: if there is an `endpoint` here."""
    endpoint: str
    """The URL of a collector that takes OTLP over HTTP, without `/v1/traces`; absent: that of
    OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318."""
    attributes: Mapping[str, str]
    """Resource attributes of all spans, besides those of OTEL_RESOURCE_ATTRIBUTES."""


class HooksKeys(TypedDict, total=False):
    """Shell commands that are run when something happens. They get the facts as JSON on their standard input."""

    on_ticket_end: str
    """A ticket is over, however it ended."""
    on_failure: str
    """A ticket failed and will not be tried again."""
    on_needs_you: str
    """Something waits for a person: a failed ticket, an approval, an agent in quarantine, a full disk."""
    on_session_end: str
    """The session finished, or its engine left."""
    on_idle: str
    """Nothing runs any more, though tickets are left."""


class FamilyKeys(TypedDict, total=False):
    """Limits of a family: the tickets that one ticket of the plan file stands for."""

    max_parallel: int | None
    """How many of its tickets run at once; absent: any number."""
    fail_fast: bool
    """True: when one of its tickets has failed for good, the others are not run."""


class SourceKeys(TypedDict, total=False):
    """Where values come from; one of these."""

    glob: str | None
    """The files that this pattern matches, seen from the workdir."""
    lines: str | None
    """The lines that this command prints, in the workdir."""
    json: str | None
    """The list in this file, of text, numbers or tables."""


class TicketKeys(TypedDict, total=False):
    """One ticket, or a family of tickets: then it has `matrix` or `foreach`."""

    title: str
    """What the ticket is about, in a line."""
    run: str
    """A shell command: what `{run}` stands for."""
    prompt: str
    """Text for an agent that reads prose: what `{prompt}` stands for."""
    prompt_file: str
    """A file with that text, read when an attempt starts; its path is what `{prompt_file}` stands for. Seen from the
    file that names it."""
    conversation: Literal["fresh", "resume"] | None
    """What another attempt of its coding agent does. resume: it goes on in the conversation of the one before; fresh:
    it begins one. Absent: resume, where `kind` says how."""
    from_: str
    """A ticket that it needs: its coding agent goes on in the conversation of that one."""
    on_denied: Literal["accept", "fail", "person"] | None
    """When its coding agent was not allowed something. person: it needs you; fail: it fails; accept: its gates
    decide. Absent: accept if it has gates or outputs, else person."""
    budget: str | None
    """The most dollars that coding agents may spend on it, in all its attempts; absent: as many as they want."""
    tokens: str | int | None
    """The most tokens that it may read anew and write, in all its attempts."""
    turns: int | None
    """The most turns that an attempt may take; then a person is asked whether it goes on."""
    needs: Sequence[str]
    """Ids of the tickets that must succeed before this one starts; `id?`: that must be over, and may have failed."""
    after: Sequence[str]
    """Ids of the tickets that must be over before this one starts, however they ended."""
    group: str
    """The [group.NAME] that it is in, which has gates; absent: none."""
    priority: Literal["critical", "high", "low", "medium"]
    """Its class: of the tickets that are ready, the higher class starts first."""
    agent: str | None
    """The agent type that runs it; absent: any that can."""
    requires: Sequence[str]
    """Capabilities that the agent type must have, all of them."""
    requires_commands: Sequence[str]
    """Commands that must be there before it starts; a minimal version may stand behind one: `git >= 2.38`."""
    requires_files: Sequence[str]
    """Paths or patterns, seen from the workdir, that must be there before it starts."""
    requires_env: Sequence[str]
    """Environment variables that must be set, and not empty before it starts."""
    reads: Sequence[str]
    """Patterns of the files it reads; whoever writes one of them does not run with it."""
    writes: Sequence[str]
    """Patterns of the files it writes; whoever reads or writes one does not run with it."""
    outputs: Sequence[str]
    """Patterns of what it must have written, not empty, when its command is over; `path?`: may be missing. They are
    claimed as `writes` are."""
    claims: Literal["enforce", "off", "warn"] | None
    """When its command wrote files that neither `writes` nor `outputs` covers: off: nobody looks; warn: you are told;
    enforce: it fails. Absent: as its agent type says."""
    gates: Sequence[str | GateKeys] | GateKeys
    """Commands that must succeed after its own before it counts as succeeded; those of [defaults] and of its agent
    type come first."""
    approve: Literal["after", "before", "no"]
    """Whether a person has to approve: before it starts, or after its command, outputs and gates, before it counts as
    succeeded."""
    when: str
    """Whether it is wanted, by variables and by what the tickets that it waits for told: `os == 'debian' and
    split.count > 0`. If not, it is skipped; absent: it is."""
    when_values: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool]]
    """What names in `when` stand for: an expanded plan has no variables."""
    if_done: Sequence[str]
    """Paths or patterns: if all of them are there, and not empty, before its first attempt, it counts as succeeded
    and is not run."""
    skip_if: str
    """A shell command that is run before its first attempt: if it succeeds, the ticket counts as succeeded and is not
    run."""
    up_to_date: bool
    """True: it is not run if its command, its variables and all files that `reads`, `writes` and `outputs` cover are
    as after its last success, in any session of this plan file."""
    depfile: str
    """A file, seen from the folder that it runs in, in which its command says what it read, as rules of make (`cc -MD
    -MF`): for `up_to_date`, that counts as `reads` does."""
    on_fail: Literal["keep", "rollback"]
    """When an attempt ends without success: leave what it did, or take it back by `rollback` and `snapshot`."""
    rollback: str
    """A shell command that takes back what an attempt did. It may be run more than once."""
    snapshot: bool
    """True: what `writes` and `outputs` cover is kept before each attempt, so that it can be restored."""
    snapshot_limit: str | int | None
    """The most bytes that its snapshot may have, see [plan]; absent: as [plan] says."""
    checks: Sequence[RunningCheckKeys]
    """What is looked at every so often while its command runs."""
    locks: Sequence[str]
    """Names that one ticket at a time may hold."""
    uses: Mapping[str, float | str | int]
    """What it takes of each resource while it runs: cpu, memory, [resources]."""
    limits: LimitsKeys | None
    """What its processes may use at most: { memory = "4GiB", cpu = 2, processes = 500, open_files = 4096, nice = 5,
    io = "idle" }; the rest is as its agent type says."""
    uses_service: Sequence[str]
    """Names of the [services] that must be ready before it starts, and that run while it does."""
    estimate: str | float | None
    """How long it takes, as far as you know."""
    timeout: str | float | None
    """How long its command, its `skip_if` and its `rollback` may take, each; absent: for ever."""
    silence: str | float | None
    """How long its command may print nothing before `on_silence` happens; 0: for ever; absent: as its agent type
    says."""
    on_silence: Literal["retry", "stop", "warn"] | None
    """When its command has printed nothing for `silence`: tell a person, stop it as a failure that its retries may
    take back, or stop it for good; absent: as its agent type says, else warn."""
    expect_codes: Sequence[int]
    """Exit codes of its command that count as success, all of them."""
    retries: int | BudgetsKeys
    """How many more attempts it has after a failed one; a table: `failed` after failures of its own, `lost` after
    being lost or unable to start."""
    retry_on: Sequence[str | int]
    """The failures that are tried again: exit codes, `signal 9`, and the words failed, timed out, out of memory,
    could not start, lost, outputs, claims, gate, check, service and signal; absent: all."""
    retry_uses: RetryUsesKeys | None
    """What it takes more of when it is tried again after it ran out of that: { memory = "x2" }; never more than there
    is."""
    allow_failure: bool
    """True: the session does not fail because this ticket failed; what needs it is skipped."""
    finally_: bool
    """True: it runs at the end, when all other tickets are over, however they ended; also before the session drains
    or stops."""
    retry_delay: str | float
    """The pause before the first retry; it doubles each time, with jitter."""
    freezable: bool
    """False: it is not frozen or stopped because the host is pressed; a person may freeze it."""
    grace: str | float
    """How long a ticket that is stopped has between TERM and KILL."""
    lease: str | float | None
    """How long it goes on while its host cannot be reached, before that ends it; never: it does not; absent: as its
    host says."""
    max_log: str | int | None
    """The most that is kept of its output, see max_log of [plan]; absent: as [plan] says."""
    own_tmp: bool
    """True: each attempt has a TMPDIR of its own, which is removed at its end, and kept if it failed; and its
    attempts share PAREXEC_SCRATCH, a folder that is removed when it has succeeded."""
    progress: str
    """How its output tells how far it is: a pattern with {percent}, or {n} and {m}, and {step}; off: not at all;
    absent: as common tools do."""
    env: Mapping[str, str]
    """Environment variables, over those of the agent type."""
    env_file: Sequence[str]
    """Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. Seen from the file
    that names them; `path?`: may be missing."""
    secrets: Sequence[str]
    """Environment variables whose values are secret: see [secrets]. They are kept nowhere, and masked in what its
    commands print."""
    cwd: str | None
    """The folder it runs in, seen from the workdir; absent: the agent type's."""
    family: str
    """The family that it is a member of; absent: none."""
    member: Mapping[str, str]
    """What tells it from the others of its family, by name."""
    generates: str
    """The family of the tickets that its command writes into the file $PAREXEC_TICKETS: they join the plan when it
    succeeds."""
    awaits: Mapping[str, Literal["after", "needs", "needs?"]]
    """The generated families that it waits for, and how it names them: in `needs`, with a `?` there, or in
    `after`."""
    matrix: Mapping[str, Sequence[str | int | float | bool | Mapping[str, Any]] | str | SourceKeys]
    """Values by name: it becomes one ticket for each combination of them."""
    foreach: Mapping[str, Sequence[str | int | float | bool | Mapping[str, Any]] | str | SourceKeys]
    """The same as `matrix`, for one list."""
    exclude: Sequence[Mapping[str, Any]]
    """Combinations that it has no ticket for."""
    include: Sequence[Mapping[str, Any]]
    """Keys for the tickets that have these values, or one more ticket with all its values."""
    id: str
    """What its tickets are called, with their values: `test-{py}`; absent: by all of them."""
    max_parallel: int | None
    """How many of its tickets run at once; absent: any number."""
    fail_fast: bool
    """True: when one of its tickets has failed for good, the others are not run."""
