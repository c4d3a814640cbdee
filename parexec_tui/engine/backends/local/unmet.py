"""What a plan requires and this machine does not have: without it, nothing is started."""

import os
import re
from collections.abc import Iterator, Mapping

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.agent_type import AgentType, eligible_types
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import Pattern, overlap, parse_pattern
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.faults import Path as KeyPath
from parexec_tui.core.plan.requirements import Requirements, Requires, parse_command
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.engine.backends.local.cookie import inherited
from parexec_tui.engine.backends.local.requirements import RequirementLooker, Unmet
from parexec_tui.engine.backends.local.worktrees.looking import missing
from parexec_tui.engine.env_files import is_there, missing_env_file, read_env_files


def unmet(plan: Plan, *, only_looks: bool = False) -> Iterator[Fault]:
    """What the plan, its agent types and its tickets require, and this machine does not have.

    `only_looks`: the plan is not to be run, so nothing is run that it brings along, not even for its version.
    What a ticket writes need not be there yet: that is looked at before the ticket that requires it.
    """
    look = _Look(plan, only_looks=only_looks)
    yield from look.faults(("plan",), plan.settings, {}, plan.workdir, may_come=False)
    for name, agent in plan.agents.items():
        yield from look.env_files(("agents", name), agent)
        env = look.variables(agent) | agent.env
        yield from look.faults(("agents", name), agent, env, _folder(plan, agent.cwd))
        if agent.isolation == "worktree" and not look.is_repository_to_come:
            for lack in missing(plan.workdir, agent):
                yield Fault(("agents", name, lack.key), lack.problem, lack.remedy)
            yield from look.not_brought(name, agent)
    for name, service in plan.services.items():
        yield from look.env_files(("services", name), service)
    for id_, ticket in plan.tickets.items():
        if ticket.env_file:
            yield from look.env_files(("tickets", id_), ticket)
        if ticket.requires_commands or ticket.requires_files or ticket.requires_env:
            for name in eligible_types(plan.agents, ticket):
                agent = plan.agents[name]
                env = look.variables(agent, ticket) | agent.env | ticket.env
                folder = _folder(plan, ticket.cwd or agent.cwd)
                yield from look.faults(("tickets", id_), ticket, env, folder)


class _Look:
    """Looks for what is required; for the same thing once."""

    def __init__(self, plan: Plan, *, only_looks: bool) -> None:
        self._root = plan.workdir
        self._env = inherited(os.environ)
        self._checker = RequirementLooker(only_ours=only_looks)
        self._written = Written(plan)
        self._env_files: dict[str, str] = {}
        """{path: why it cannot be read}; empty: it can."""
        self._found: dict[tuple[Requirements, str, tuple[tuple[str, str], ...]], list[Unmet]] = {}

    def faults(
        self, path: KeyPath, source: Requires, env: Mapping[str, str], cwd: str, *, may_come: bool = True
    ) -> Iterator[Fault]:
        """`path`: of the table. `env`: what it adds. `may_come`: a ticket may make what is missing."""
        wanted = Requirements.of(source)
        if wanted is None:
            return
        key = wanted, cwd, tuple(sorted(env.items()))
        if key not in self._found:
            found = self._checker.unmet(wanted, env={**self._env, **env}, cwd=cwd, root=self._root)
            self._found[key] = list(found)
        for each in self._found[key]:
            if not (may_come and self._comes(each, cwd)):
                name = f"requires_{each.kind}"
                index = getattr(source, name).index(each.text)
                yield Fault((*path, name, index), each.problem, each.remedy)

    def env_files(self, path: KeyPath, source: AgentType | Ticket | Service) -> Iterator[Fault]:
        """What is wrong with the files that variables are read from, but for those that a ticket may write."""
        for index, file in enumerate(source.env_file):
            if file not in self._env_files:
                self._env_files[file] = missing_env_file(file)
            if (problem := self._env_files[file]) and not self._written.covers(file):
                remedy = "" if is_there(file) else "write it, or a `?` behind its name if it may be missing"
                yield Fault((*path, "env_file", index), problem, remedy)

    def variables(self, *sources: AgentType | Ticket) -> dict[str, str]:
        """What is read from such files, as far as they can be read now, and secrets, which are looked for apart."""
        files = [file for source in sources for file in source.env_file]
        found = read_env_files([file for file in files if not missing_env_file(file)]) if files else {}
        return found | {name: name for source in sources for name in source.secrets}

    @property
    def is_repository_to_come(self) -> bool:
        """Whether there is no repository yet, and a ticket may make it."""
        is_none = not os.path.isdir(self._root) or not top_of(self._root)  # noqa: PTH112
        return is_none and self._written.covers(os.path.join(self._root, ".git"))  # noqa: PTH118

    def not_brought(self, name: str, agent: AgentType) -> Iterator[Fault]:
        """What is to be copied or linked into worktrees, is not there, and is written by no ticket."""
        for key in ("copy", "link"):
            for index, text in enumerate(getattr(agent, key)):
                path = os.path.join(self._root, text)  # noqa: PTH118
                if text.endswith("?") or os.path.exists(path) or self._written.covers(path):  # noqa: PTH110
                    continue
                remedy = (
                    f"write `{text}?` if it may be missing, or name it in the `writes` of the ticket that makes it"
                )
                yield Fault(("agents", name, key, index), f"{path} does not exist, and no ticket writes it", remedy)

    def _comes(self, missing: Unmet, cwd: str) -> bool:
        """Whether a ticket may write it."""
        if missing.kind == "files":
            pattern = parse_pattern(missing.text, self._root)
            folder = pattern.head.rstrip("/") if pattern.plain else pattern.head.rpartition("/")[0]
            return self._written.covers(folder or "/")
        is_path = missing.kind == "commands" and "/" in (name := parse_command(missing.text).name)
        return is_path and self._written.covers(os.path.join(cwd, name))  # noqa: PTH118


def _folder(plan: Plan, cwd: str | None) -> str:
    """The absolute folder that a `cwd` of the plan means."""
    return os.path.normpath(os.path.join(plan.workdir, cwd or "."))  # noqa: PTH118


class Written:
    """What the tickets of a plan write."""

    def __init__(self, plan: Plan) -> None:
        texts = {text for ticket in plan.tickets.values() for text in ticket.all_writes}
        patterns = {parse_pattern(text, plan.workdir) for text in texts}
        self._root = plan.workdir
        self._heads = {pattern.head for pattern in patterns if pattern.plain}
        self._above = {folder for head in self._heads for folder in _folders(head)}
        self._special = [pattern for pattern in patterns if not pattern.plain]
        self._effort = 1_000_000

    def covers(self, path: str) -> bool:
        """Whether a ticket may write this path, something in it, or the folder it is in. If in doubt, yes."""
        head = f"{os.path.normpath(path)}/"
        if head in self._above or not self._heads.isdisjoint(_folders(head)):
            return True
        self._effort -= len(self._special)
        if self._effort < 0:
            return True
        pattern = Pattern(head, self._root, head, True)
        return any(overlap(pattern, special) for special in self._special)


def _folders(head: str) -> Iterator[str]:
    """`/a/b/` to `/`, `/a/`, `/a/b/`."""
    return (head[: slash.end()] for slash in re.finditer("/", head))
