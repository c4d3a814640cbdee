"""Commands, their patterns and their environment can be handed to a process."""

import re
from collections.abc import Iterator
from itertools import chain

from parexec_tui.core.plan.command import is_posix_shell
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.progress import OFF, progress_regex
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path, listed
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.requirements import Requires, parse_command
from parexec_tui.core.plan.retries import FAILURE_WORDS, MAX_SIGNAL, problem_of_failure
from parexec_tui.core.plan.units import shown

is_simple = re.compile(r"(?!.*\.\.)[^\[\\{}\0\n]+").fullmatch
"""A pattern in which nothing can be wrong. Most are, and to read one costs ten times as much."""


def progress_can_be_read(draft: Draft) -> Iterator[Fault]:
    patterns = {draft.place(id_, "progress"): ticket.progress for id_, ticket in draft.specs() if ticket.progress}
    for path, pattern in patterns.items():
        if pattern == OFF:
            continue
        try:
            progress_regex(pattern)
        except ValueError as error:
            hint = "write for instance `epoch {n}/{m}` or `{percent}% {step}`, or `off`"
            yield Fault(path, f"{shown(pattern)} is not a pattern of progress: {error}", hint)


def shells_take_a_command(draft: Draft) -> Iterator[Fault]:
    shells: dict[Path, tuple[str, ...]] = {("plan", "shell"): draft.settings.shell}
    for name, agent in draft.agents.items():
        if agent.shell is not None:
            shells["agents", name, "shell"] = agent.shell
            if agent.command is not None:
                yield Fault(
                    ("agents", name, "shell"),
                    "`command` says already how a ticket is run",
                    "leave one of the two out, or name the shell in `command`",
                )
    for path, words in shells.items():
        for index, word in enumerate(words):
            if "\0" in word:
                yield Fault((*path, index), NUL)
            elif "{run}" in word:
                yield Fault((*path, index), "`run` is added as the last argument", "leave {run} out")
        if not words[0]:
            yield Fault((*path, 0), "the name of a program is missing")
        elif is_posix_shell(words) and not any(map(_is_command_option, words[1:])):
            yield Fault(path, f"{words[0]} would take the command for the name of a file", 'end it with "-c"')


_is_command_option = re.compile(r"-[A-Za-z]*c[A-Za-z]*").fullmatch


def patterns_are_valid(draft: Draft) -> Iterator[Fault]:
    patterns = set(chain.from_iterable(ticket.reads + ticket.all_writes for _, ticket in draft.specs()))
    bad: dict[str, str] = {}
    everything = {"/", "/**"}
    for text in patterns:
        if is_simple(text):
            continue
        try:
            if parse_pattern(text, draft.workdir).text == "/**":
                everything.add(text)
        except ValueError as error:
            bad[text] = str(error)
    if bad:
        for id_, ticket in draft.specs():
            for key, texts in (("reads", ticket.reads), ("writes", ticket.writes), ("outputs", ticket.outputs)):
                for index, text in enumerate(texts):
                    if (problem := bad.get(pattern_of(text) if key == "outputs" else text)) is not None:
                        yield Fault(draft.place(id_, key, index), problem)
    if not patterns.isdisjoint(everything):
        for id_, ticket in draft.specs():
            for index, text in enumerate(ticket.outputs):
                if pattern_of(text) in everything:
                    told = f"{shown(text)} is all that is on the disk, and no output"
                    yield Fault(draft.place(id_, "outputs", index), told, "name the files that it writes")


def failures_are_known(draft: Draft) -> Iterator[Fault]:
    hints = Hints(FAILURE_WORDS)
    for id_, ticket in draft.specs():
        for index, named in enumerate(ticket.retry_on):
            path = draft.place(id_, "retry_on", index)
            if problem := problem_of_failure(named):
                known = f"an exit code, `signal 9`, or one of {listed(FAILURE_WORDS, len(FAILURE_WORDS))}"
                signals = f"they are 1 to {MAX_SIGNAL}" if "no signal" in problem else ""
                yield Fault(path, problem, signals or (isinstance(named, str) and hints.of(named)) or known)
            elif named in ticket.expect_codes:
                yield Fault(path, f"exit code {named} counts as success", "leave it out here, or in `expect_codes`")


def conditions_can_be_asked(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        if "\0" in ticket.depfile:
            yield Fault(draft.place(id_, "depfile"), NUL)
        elif ticket.depfile and not ticket.reads:
            hint = "name at least the source file in `reads`"
            yield Fault(draft.place(id_, "depfile"), "a ticket with `depfile` says what it `reads`", hint)
        if not (ticket.if_done or ticket.skip_if):
            continue
        if ticket.if_done and ticket.skip_if:
            hint = 'in a command: skip_if = "test -s FILE && COMMAND"'
            yield Fault(draft.place(id_, "skip_if"), "a ticket has either `if_done` or `skip_if`", hint)
        if "\0" in ticket.skip_if:
            yield Fault(draft.place(id_, "skip_if"), NUL)
        for index, text in enumerate(ticket.if_done):
            try:
                parse_pattern(text, draft.workdir)
            except ValueError as error:
                yield Fault(draft.place(id_, "if_done", index), str(error))


def requirements_can_be_checked(draft: Draft) -> Iterator[Fault]:
    for (key, index), fault in _faults_of_requirements(draft.settings):
        yield fault._replace(path=("plan", key, index))
    for name, agent in draft.agents.items():
        for (key, index), fault in _faults_of_requirements(agent):
            yield fault._replace(path=("agents", name, key, index))
    for id_, ticket in draft.specs():
        if ticket.requires_commands or ticket.requires_files or ticket.requires_env:
            for (key, index), fault in _faults_of_requirements(ticket):
                yield fault._replace(path=draft.place(id_, key, index))


def _faults_of_requirements(source: Requires) -> Iterator[tuple[tuple[str, int], Fault]]:
    """What is wrong, with key and place in its list; the path of the fault is empty."""
    for index, text in enumerate(source.requires_commands):
        try:
            parse_command(text)
        except ValueError as error:
            yield ("requires_commands", index), Fault((), str(error), "write `git`, or `git >= 2.38`")
    for index, text in enumerate(source.requires_files):
        try:
            parse_pattern(text, "/")
        except ValueError as error:
            yield ("requires_files", index), Fault((), str(error))
    for index, text in enumerate(source.requires_env):
        if not is_variable(text):
            hint = f"write the name alone: {text.partition('=')[0]}" if text.find("=") > 0 else ""
            yield ("requires_env", index), Fault((), f"{shown(text)} is not a name of an environment variable", hint)


def rollbacks_take_back_something(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        if not (ticket.snapshot or ticket.on_fail == "rollback"):
            continue
        if ticket.snapshot and not ticket.all_writes and (path := draft.place(id_, "snapshot"))[0] == "tickets":
            yield Fault(path, "there is nothing to keep: the ticket names no files", "write `writes` or `outputs`")
        if not ticket.takes_back and not ticket.snapshot and (path := draft.place(id_, "on_fail"))[0] == "tickets":
            yield Fault(path, "nothing says how it is rolled back", "write `rollback = ...`, or `snapshot = true`")


def environments_are_valid(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        for path, message in _faults_of_env(ticket.env) if ticket.env else ():
            yield Fault(draft.place(id_, "env", *path), message)
    others = [
        *(("agents", name, agent.env) for name, agent in draft.agents.items()),
        *(("services", name, service.env) for name, service in draft.services.items()),
    ]
    for table, name, env in others:
        for path, message in _faults_of_env(env):
            yield Fault((table, name, "env", *path), message)
    for id_, ticket in draft.specs():
        for index, message in _faults_of_env_file(ticket.env_file) if ticket.env_file else ():
            yield Fault(draft.place(id_, "env_file", index), message)
    for table, name, files in (
        *(("agents", name, agent.env_file) for name, agent in draft.agents.items()),
        *(("services", name, service.env_file) for name, service in draft.services.items()),
    ):
        for index, message in _faults_of_env_file(files):
            yield Fault((table, name, "env_file", index), message)


def _faults_of_env(env: dict[str, str]) -> Iterator[tuple[tuple[str], str]]:
    for name, value in env.items():
        if not is_variable(name):
            yield (name,), f"{shown(name)} is not a name of an environment variable"
        elif "\0" in value:
            yield (name,), NUL


def _faults_of_env_file(files: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for index, path in enumerate(files):
        if not path.removesuffix("?"):
            yield index, "expected the name of a file"
        elif "\0" in path:
            yield index, NUL


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name."""
    return bool(name) and "=" not in name and "\0" not in name


NUL = "a NUL character cannot be passed to a process"


def texts_have_no_nul(draft: Draft) -> Iterator[Fault]:
    if "\0" in draft.settings.workdir:
        yield Fault(("plan", "workdir"), NUL)
    for hook in draft.hooks.__struct_fields__:
        if "\0" in getattr(draft.hooks, hook):
            yield Fault(("hooks", hook), NUL)
    for id_, ticket in draft.specs():
        texts = ticket.run + ticket.prompt + ticket.prompt_file + ticket.rollback
        if "\0" in texts or (ticket.cwd and "\0" in ticket.cwd):
            for key in ("run", "prompt", "prompt_file", "rollback", "cwd"):
                if "\0" in (getattr(ticket, key) or ""):
                    yield Fault(draft.place(id_, key), NUL)
    for name, agent in draft.agents.items():
        if agent.cwd and "\0" in agent.cwd:
            yield Fault(("agents", name, "cwd"), NUL)
        for index, word in enumerate(agent.command or ()):
            if "\0" in word:
                yield Fault(("agents", name, "command", index), NUL)
    for name, service in draft.services.items():
        for key in ("run", "ready", "stop", "cwd"):
            if "\0" in (getattr(service, key) or ""):
                yield Fault(("services", name, key), NUL)
