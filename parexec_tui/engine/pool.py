"""The agent pool manager: how an agent runs a ticket, and when the pool is larger than it needs to be.

The rules are in the core: `schedule.dispatcher` says which agent runs what, and `rules.reports` what happens after a
failure. Here is what agents need outside the core: commands, folders, variables, and when to stop idle ones.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct, structs

from parexec_tui.core.plan.agent_type import SHELL, SHELL_OF_OLD, AgentType
from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.coding import is_minded
from parexec_tui.core.plan.command import fill, fill_units, write_given
from parexec_tui.core.plan.gates import PLAN_GATES, described
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.requirements import Requirements
from parexec_tui.core.plan.resources import Units, is_port, unit_variable
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.values import names_values, refers_to_values, tells_values, with_values
from parexec_tui.core.rules.conflicts import shown_conflict
from parexec_tui.core.state.isolation import branch_of, target_of, unclaimed_rule, works_apart
from parexec_tui.core.state.process_key import READY, RUN, STOP, ProcessKey
from parexec_tui.core.state.raised import limits_now
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.steps import GateStep, gate_step, is_resolve
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import IdleElapsed
from parexec_tui.engine.backends.backend import TRAILER, Carried, Launch, Worktree
from parexec_tui.engine.briefs import goes_on, telling_of
from parexec_tui.engine.secrets import NoSecretError, Secrets
from parexec_tui.paths import id_in_names
from parexec_tui.tracing.endpoint import is_sent
from parexec_tui.tracing.ids import VARIABLE, traceparent

PLAIN_SHELLS = (SHELL, SHELL_OF_OLD)
"""What a backend can stand in for: the shell that leads an attempt runs the command itself."""

_UNTIL = """
n=0
until "$@"; do
    n=$((n + 1))
    if [ $n -lt 25 ]; then sleep 0.2 2>/dev/null || sleep 1; else sleep 1; fi
done
"""
"""Runs its arguments until they succeed: at first often, later each second."""

_MARKED = """git merge --quit 2>/dev/null || :
git update-ref -d refs/worktree/parexec/resolved
git checkout --quiet --force --detach {onto}
git -c core.hooksPath=/dev/null -c rerere.autoUpdate=false merge --quiet --no-commit --no-ff {work} \\
    >/dev/null 2>&1 || :
PAREXEC_CONFLICTS=$(git -c core.quotePath=false ls-files --unmerged -- :/ | cut -f 2- | uniq |
    LC_ALL=C awk '(size += length($0) + 1) < 100000')
"""
"""Begins a merge anew, however the last one ended. What git calls ours there is what is merged, as `--ours` means.

Files are told as git tells them where the command runs, in quotes if a name needs that. A process cannot be given any
number of them.
"""

IDLE_TIMEOUT = 60.0
"""Seconds after which an idle agent above its type's `min` is stopped."""

GPU = "gpu"
"""The resource whose units are told to programs that use CUDA, too."""

_GPUS = "CUDA_VISIBLE_DEVICES"
_NO_UNITS: Mapping[str, Units] = {}


class WorktreePlaces(Struct, frozen=True):
    """Where the worktrees of a session are."""

    root: str
    """The folder that has them all; absolute."""
    prefix: Callable[[], str]
    """The workdir, seen from the top of its checkout; empty, or with a slash at its end. A ticket may make that."""
    session: str

    def path(self, ticket: str) -> str:
        """The folder of the worktree of a ticket."""
        return f"{self.root}/{id_in_names(ticket)}"

    def workdir(self, ticket: str) -> str:
        """What stands for the workdir there."""
        return f"{self.path(ticket)}/{self.prefix()}".rstrip("/")

    def message(self, ticket: str, title: str) -> str:
        """The message of the commits of a ticket; `TRAILER` says whose they are."""
        subject = " ".join(f"{ticket}: {title}".split()) if title else ticket
        return f"{subject}\n\n{TRAILER}: {ticket}\nParexec-Session: {self.session}\n"


class Pool:
    """What agents run: commands, folders and variables."""

    def __init__(
        self,
        state: SessionState,
        session: str,
        places: WorktreePlaces | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        """`places`: where tickets work that do not work in the workdir; without it, there are none. Without `secrets`
        none of them is known."""
        self._state = state
        self._places = places
        self._secrets = secrets if secrets is not None else Secrets({})
        self._env = {"PAREXEC_SESSION": session, "PAREXEC_WORKDIR": state.plan.workdir}
        self._is_traced = is_sent(state.plan.telemetry)
        self._tells_values = tells_values(state.plan)

    def note_new(self, tickets: Iterable[Ticket]) -> None:
        """Take notice of tickets that come into the plan, or are others now: they may name values."""
        self._tells_values = self._tells_values or any(map(names_values, tickets))

    def _env_of(self, key: ProcessKey) -> dict[str, str]:
        """What every process has, before what the plan says. `key`: of which it is, or of which it is a part."""
        return self._env | {VARIABLE: traceparent(self._state, key)} if self._is_traced else self._env

    def launch(self, ticket: TicketState) -> Launch:
        """How the agent of this ticket runs the present step of its current attempt. Raises NoValueError."""
        if ticket.agent is None:
            return self._gate_of_group(ticket)
        launch = self._given(self._launch(ticket), *self._sources(ticket))
        if (host := self._state.live_on.get(ticket.id)) is not None:
            lease = self._state.lease_of(ticket, host)
            launch = structs.replace(launch, lease=lease, grace=ticket.spec.grace)
            if host.spec.ray is not None and ticket.live_attempt.step == RUN:
                launch = structs.replace(launch, place=dict(ticket.claims.uses))
        if ticket.spec.own_tmp:
            launch = structs.replace(launch, own_tmp=True)
        if self._state.hosts:
            launch = structs.replace(launch, carried=self._carried(ticket))
        if (worktree := self.worktree(ticket)) is None:
            return launch
        assert self._places is not None
        workdir = self._places.workdir(ticket.id)
        is_to_resolve = is_resolve(ticket.live_attempt.step)
        decides = shown_conflict(self._state, ticket) if is_to_resolve else None
        return structs.replace(
            launch,
            cwd=self._moved(launch.cwd, workdir),
            root=workdir if launch.root else "",
            env=launch.env | {"PAREXEC_WORKDIR": workdir},
            worktree=worktree if ticket.live_attempt.step == RUN or decides is not None else None,
            decides=decides,
            in_worktree=True,
        )

    def _carried(self, ticket: TicketState, *, is_beside: bool = False) -> Carried | None:
        """What is brought to the host of a ticket and back."""
        host = self._state.hosts.get(self._state.host_of(ticket))
        if host is None or host.spec.sync == "shared":
            return None
        spec, agent_type = self._spec(ticket), self._sources(ticket)[0]
        return Carried(
            self.root(ticket),
            spec.reads,
            spec.writes,
            spec.outputs,
            is_first=ticket.live_attempt.step == RUN,
            in_worktree=self._places is not None and works_apart(self._state, ticket),
            copy=agent_type.copy,
            link=agent_type.link,
            is_beside=is_beside,
        )

    def _sources(self, ticket: TicketState) -> tuple[AgentType, Ticket]:
        assert ticket.agent is not None
        return self._state.plan.agents[self._state.agents[ticket.agent].type], ticket.spec

    def _given(self, launch: Launch, *sources: AgentType | Ticket | Service) -> Launch:
        """The same with the variables that come from elsewhere: these say so, the later ones over the earlier."""
        files = [path for source in sources for path in source.env_file]
        names = [name for source in sources for name in source.secrets]
        if files:
            workdir = self._state.plan.workdir  # from there, what a person wrote into a running session is seen
            launch = structs.replace(launch, env_files=tuple(posixpath.join(workdir, path) for path in files))
        if names:
            try:
                launch = structs.replace(launch, secrets=self._secrets.given(names))
            except NoSecretError as error:
                launch = structs.replace(launch, lacks=str(error))
        return launch

    def _moved(self, folder: str, workdir: str) -> str:
        """A folder in the workdir, where it is in a worktree."""
        before = self._state.plan.workdir
        inside = folder == before or folder.startswith(f"{before.rstrip('/')}/")
        return workdir + folder[len(before.rstrip("/")) :] if inside else folder

    def worktree(self, ticket: TicketState) -> Worktree | None:
        """Where the newest attempt of a ticket works, and what becomes of its work; None: in the workdir."""
        if self._places is None or not works_apart(self._state, ticket):
            return None
        assert ticket.attempt is not None
        agent_type = self._state.plan.agents[self._state.agents[ticket.attempt.agent].type]
        return Worktree(
            self._state.plan.workdir,
            self._places.path(ticket.id),
            branch_of(self._state, ticket.id),
            target_of(self._state, ticket),
            agent_type.base,
            self._places.message(ticket.id, ticket.spec.title),
            agent_type.copy,
            agent_type.link,
            agent_type.update_checkout,
            ticket.spec.outputs,
            ticket.spec.all_writes if unclaimed_rule(self._state, ticket) != "off" else None,
            is_minded(agent_type) and goes_on(self._state, ticket, ticket.spec, agent_type),
            dict(self._needed(ticket)),
        )

    def _needed(self, ticket: TicketState) -> Iterator[tuple[str, str]]:
        """What was merged of the tickets that a ticket needs, where it is merged itself: commits, and of whom."""
        target = target_of(self._state, ticket)
        for need in ticket.spec.needs:
            found = self._state.worktrees.get(need)
            if found is not None and found.landed is not None and found.landed.commit and found.made.target == target:
                yield found.landed.commit, need

    def _launch(self, ticket: TicketState) -> Launch:
        is_command = ticket.live_attempt.step == RUN
        spec = self._spec(ticket, strict=is_command, units=ticket.live_attempt.units)
        agent_type, env = self._in_attempt(ticket)
        units = ticket.live_attempt.units
        if not is_command:
            cwd, limits = spec.cwd or agent_type.cwd, limits_now(self._state, ticket, agent_type)
            if is_resolve(ticket.live_attempt.step):
                return self._resolve(ticket, env, cwd, limits)
            gate = gate_step(self._state, ticket)
            return (
                self._gate(gate, env, cwd, limits, units)
                if gate is not None
                else self._rollback(ticket, env, cwd, limits)
            )
        if is_minded(agent_type):
            launch = self._of_coding_agent(ticket, spec, agent_type, env)
        else:
            launch = self._command(ticket, spec, agent_type, env)
        if self._tells_values or names_values(ticket.spec):
            launch = structs.replace(launch, tells_values=True)
        if spec.generates:
            launch = structs.replace(launch, tells_tickets=True)
        requires = Requirements.of(self._state.plan.settings, agent_type, spec)
        reads = spec.reads if spec.is_asked_by_files else ()
        ports = {name: given for name, given in units.items() if is_port(name)}
        if unclaimed_rule(self._state, ticket) != "off" and not works_apart(self._state, ticket):
            launch = structs.replace(launch, notes_begin=True)
        if not (spec.outputs or reads or spec.snapshot or requires or ports):
            return launch
        root = self._state.plan.workdir
        launch = structs.replace(launch, outputs=spec.outputs, reads=reads, requires=requires, root=root, ports=ports)
        return self._with_snapshot(launch, spec) if spec.snapshot else launch

    def _spec(self, ticket: TicketState, *, strict: bool = False, units: Mapping[str, Units] = _NO_UNITS) -> Ticket:
        """The ticket with the units that it has in its command, and the values that it refers to. `strict`: raise
        NoValueError if one is not there."""
        spec = ticket.spec
        if units:  # first: in what another ticket told nothing is filled in
            spec = structs.replace(spec, run=fill_units(spec.run, units))
        return (
            with_values(spec, self._state.values, self._state.tickets, strict=strict)
            if refers_to_values(ticket.spec)
            else spec
        )

    def _in_attempt(self, ticket: TicketState) -> tuple[AgentType, dict[str, str]]:
        """The type of the agent that runs an attempt, and the variables of its processes."""
        assert ticket.agent is not None
        agent_type = self._state.plan.agents[self._state.agents[ticket.agent].type]
        key = ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step)
        env = self._env_of(key) | agent_type.env | self._spec(ticket).env
        env["PAREXEC_TICKET"] = ticket.id
        env["PAREXEC_ATTEMPT"] = str(ticket.attempts)
        env["PAREXEC_AGENT"] = ticket.agent
        if ticket.note:
            env["PAREXEC_NOTE"] = ticket.note
        units = ticket.live_attempt.units
        for name, given in units.items():
            env[unit_variable(name)] = write_given(given)
        if GPU in units:
            env.setdefault(_GPUS, write_given(units[GPU]))
        return agent_type, env

    def running_check(self, ticket: TicketState, check: RunningCheck, step: str) -> Launch:
        """How the command of a check is run beside that of its ticket, where that runs and with its variables."""
        agent_type, env = self._in_attempt(ticket)
        env |= {"PAREXEC_CHECK": check.title, "PAREXEC_STEP": step}
        run = fill_units(check.run, ticket.live_attempt.units)
        folder, limits = self._folder(ticket.spec.cwd or agent_type.cwd), limits_now(self._state, ticket, agent_type)
        launch = self._given(self._by_shell(run, folder, env, limits), *self._sources(ticket))
        launch = structs.replace(launch, log_of=ProcessKey(ticket.id, ticket.attempts), own_tmp=ticket.spec.own_tmp)
        if self._state.hosts:
            launch = structs.replace(launch, carried=self._carried(ticket, is_beside=True))
        return launch

    def _with_snapshot(self, launch: Launch, spec: Ticket) -> Launch:
        settings = self._state.plan.settings
        limit = settings.snapshot_limit if spec.snapshot_limit is None else spec.snapshot_limit
        return structs.replace(
            launch, snapshot=spec.all_writes, snapshot_limit=limit, snapshot_spare=settings.min_free_disk
        )

    def check(self, ticket: TicketState) -> Launch:
        """How its `skip_if` is run, before there is an agent: as the first agent type that can run it would."""
        agent_type = self._state.plan.agents[ticket.types[0]]
        env = self._env_of(ProcessKey(ticket.id, 0, ticket.asking)) | agent_type.env | self._spec(ticket).env
        env |= {"PAREXEC_TICKET": ticket.id, "PAREXEC_STEP": ticket.asking}
        folder, limits = self._folder(ticket.spec.cwd or agent_type.cwd), limits_now(self._state, ticket, agent_type)
        return self._given(self._by_shell(ticket.spec.skip_if, folder, env, limits), agent_type, ticket.spec)

    def service(self, service: ServiceState) -> Launch:
        """How the command of a service is run: as `run` of a ticket is, by the shell of the plan."""
        return structs.replace(self._of_service(service, service.spec.run), ready=service.spec.ready)

    def ready(self, service: ServiceState, command: str) -> Launch:
        """How a service is asked whether it is ready: a command is run until it succeeds."""
        launch = self._of_service(service, command, READY)
        asked = (*self._state.plan.settings.shell, command)
        return structs.replace(
            launch, shell="", argv=("/bin/sh", "-c", _UNTIL, "ready", *asked), stops_at_failure=False
        )

    def stop(self, service: ServiceState) -> Launch:
        """How the `stop` of a service is run."""
        launch = self._of_service(service, service.spec.stop, STOP)
        return structs.replace(launch, log_of=service.key)

    def _of_service(self, service: ServiceState, command: str, step: str = RUN) -> Launch:
        env = self._env_of(service.key) | service.spec.env | {"PAREXEC_SERVICE": service.name}
        if step != RUN:
            env["PAREXEC_STEP"] = step
        if service.pid is not None:
            env["PAREXEC_PGID"] = str(service.pid)
        return self._given(self._by_shell(command, self._folder(service.spec.cwd), env, None), service.spec)

    def _gate(
        self,
        step: GateStep,
        env: dict[str, str],
        cwd: str | None,
        limits: Limits | None,
        units: Mapping[str, Units],
    ) -> Launch:
        """How a gate is run: as `run` is, by the shell of the plan."""
        env |= {"PAREXEC_GATE": step.title, "PAREXEC_STEP": step.name}
        return self._by_shell(fill_units(step.gate.run, units), self._folder(step.gate.cwd or cwd), env, limits)

    def _gate_of_group(self, ticket: TicketState) -> Launch:
        """How a gate is run that is not about one ticket: without what an agent type or a ticket says."""
        step = gate_step(self._state, ticket)
        assert step is not None
        group = {} if ticket.id == PLAN_GATES else {"PAREXEC_GROUP": described(ticket.id).removeprefix("group ")}
        env = self._env_of(ProcessKey(ticket.id, ticket.attempts, step.name)) | group
        env |= {"PAREXEC_TICKET": ticket.id, "PAREXEC_ATTEMPT": str(ticket.attempts)}
        if ticket.note:
            env["PAREXEC_NOTE"] = ticket.note
        return self._gate(step, env, None, None, {})

    def _by_shell(self, command: str, folder: str, env: dict[str, str], limits: Limits | None) -> Launch:
        """A command that is run as `run` is, by the shell of the plan."""
        shell = self._state.plan.settings.shell
        if shell in PLAIN_SHELLS:
            return Launch(command, (), folder, env, limits=limits, stops_at_failure="-e" in shell)
        return Launch("", (*shell, command), folder, env, limits=limits)

    def _rollback(self, ticket: TicketState, env: dict[str, str], cwd: str | None, limits: Limits | None) -> Launch:
        """How what an attempt did is taken back."""
        attempt = ticket.live_attempt
        outcome = attempt.outcome
        end = outcome.end if outcome is not None else ticket.end
        env |= {"PAREXEC_END": str(end or ""), "PAREXEC_STEP": attempt.step}
        launch = self._by_shell(ticket.spec.rollback, self._folder(cwd), env, limits)
        return structs.replace(launch, log_of=ProcessKey(ticket.id, attempt.number))

    def _resolve(self, ticket: TicketState, env: dict[str, str], cwd: str | None, limits: Limits | None) -> Launch:
        """How a conflict is resolved: where the ticket worked, with the conflict marked as git does."""
        attempt, found = ticket.live_attempt, self._state.worktrees[ticket.id]
        conflict = found.conflict
        assert conflict is not None
        marked = _MARKED.format(work=conflict.commit, onto=conflict.onto)
        env |= {"PAREXEC_STEP": attempt.step, "PAREXEC_CONFLICTS": ""}
        return Launch(
            f"{marked}{attempt.resolution}", (), self._folder(cwd), env, limits=limits, stops_at_failure=True
        )

    def _command(self, ticket: TicketState, spec: Ticket, agent_type: AgentType, env: dict[str, str]) -> Launch:
        cwd, units = self._folder(spec.cwd or agent_type.cwd), ticket.live_attempt.units
        limits = limits_now(self._state, ticket, agent_type)
        if agent_type.run_shell in PLAIN_SHELLS:
            return Launch(spec.run, (), cwd, env, limits=limits, stops_at_failure="-e" in agent_type.run_shell)
        argv = fill(
            agent_type.whole_command,
            spec,
            id_=ticket.id,
            attempt=ticket.attempts,
            workdir=self.root(ticket),
            note=ticket.note,
            prompt_file=self._prompt_file(spec),
            units=units,
        )
        return Launch("", argv, cwd, env, limits=limits)

    def _of_coding_agent(
        self, ticket: TicketState, spec: Ticket, agent_type: AgentType, env: dict[str, str]
    ) -> Launch:
        """How a coding agent is started: by its minder, which is told what to do in a brief."""
        launch = self._command(ticket, spec, agent_type, env)
        telling = telling_of(self._state, ticket, spec, agent_type, self._prompt_file(spec))
        return structs.replace(launch, argv=() if agent_type.kind is not None else launch.argv, telling=telling)

    def _prompt_file(self, spec: Ticket) -> str:
        """The file with its prompt; absolute. Empty: there is none. Its path was seen from the file that names it."""
        return posixpath.join(self._state.plan.workdir, spec.prompt_file) if spec.prompt_file else ""

    def root(self, ticket: TicketState) -> str:
        """What stands for the workdir where the newest attempt of a ticket works."""
        if self._places is None or not works_apart(self._state, ticket):
            return self._state.plan.workdir
        return self._places.workdir(ticket.id)

    def _folder(self, cwd: str | None) -> str:
        workdir = self._state.plan.workdir
        return workdir if cwd is None else posixpath.normpath(posixpath.join(workdir, cwd))

    def expired_idle(self, now: float) -> Iterator[IdleElapsed]:
        """The idle agents that the pool can do without."""
        for type_, line in self._state.available.items():
            spare = self._state.pool_size[type_] - self._state.plan.agents[type_].min
            for agent in list(line.values())[: max(0, spare)]:
                if now - agent.idle_since >= IDLE_TIMEOUT:
                    yield IdleElapsed(agent.id)
