"""Files with plans, and with tickets to add: found, read and checked, for the commands and for the screen."""

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.expanding.including import PlanText
    from parexec_tui.core.plan.hosts import HostSpec
    from parexec_tui.core.plan.model import Host, Plan
    from parexec_tui.core.plan.reading.faults import Fault
    from parexec_tui.core.plan.reading.file import ReadPlan
    from parexec_tui.core.plan.reading.fragment import Generation
    from parexec_tui.core.plan.reading.problems import Problem
    from parexec_tui.core.plan.ticket import Ticket
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire.requests import Amend

FROM_STREAM = "-"
"""The source of a plan that was read from standard input or a pipe: it cannot be read again."""


class PlanFileError(Exception):
    """A file cannot be used, whatever is in it. The text says why, and what to do."""


class PlanFile(NamedTuple):
    """A plan, and how it was read."""

    plan: "Plan"
    read: "ReadPlan"

    def problems(self, faults: "Iterable[Fault]") -> "tuple[Problem, ...]":
        """Faults of the plan with their places in its files."""
        return self.read.problems(faults)

    def written_out(self) -> str:
        """The plan as it will run, as a plan file."""
        return as_toml(self.read.document)


def as_toml(document: dict[str, Any]) -> str:
    """A document of plain values as the text of a plan file."""
    import json

    import tomli_w

    # Of a text of several lines TOML drops each CR before a line feed.
    is_plain = "\\r" not in json.dumps(document)
    return tomli_w.dumps(_without_null(document), multiline_strings=is_plain)


def _without_null(table: dict[str, Any]) -> dict[str, Any]:
    """A table of JSON as TOML can have it; a null is as if its key were not there."""
    return {
        key: _without_null(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def open_plan_file(file: Path, host: "Host | None", given: "Given | None" = None) -> PlanFile:
    """The plan in a file, with its text. `given`: what a person says of its variables; None: nothing but what the
    environment says. Raises PlanErrors with every mistake in it, PlanFileError, OSError."""
    from msgspec.structs import replace

    from parexec_tui.core.plan.expanding.including import PlanText

    is_from_stream = is_stream(file)
    whole = file.absolute()
    folder = Path.cwd() if is_from_stream else whole.parent
    text = text_of(file)
    read = read_plan_text(PlanText(name_of(file), text, syntax_of(file, text)), folder, host, given)
    # Errors name the file as the person did; a session needs its whole path.
    plan = replace(read.plan, source=FROM_STREAM if is_from_stream else str(whole))
    return PlanFile(plan, read)


def read_plan_text(main: "PlanText", folder: Path, host: "Host | None", given: "Given | None" = None) -> "ReadPlan":
    """A plan whose text is known; `folder`: the absolute one that its paths are seen from. `given`: as for
    `open_plan_file`. Raises PlanErrors with every mistake in it, PlanFileError."""
    from parexec_tui.client.plan_sources import is_repository, look
    from parexec_tui.core.plan.expanding.given import GivenError
    from parexec_tui.core.plan.expanding.outside import Outside
    from parexec_tui.core.plan.reading.file import read_whole
    from parexec_tui.gc_control import gc_paused

    given = given_here() if given is None else given
    try:
        with gc_paused():
            outside = Outside(look, _read_included, is_repository, _known_hosts)
            return read_whole(main, folder=str(folder), host=host, given=given, outside=outside)
    except GivenError as error:
        raise PlanFileError(f"{main.name}: {error}") from error


def _known_hosts() -> "dict[str, HostSpec]":
    """The hosts of this person's settings. Raises PlanFileError."""
    from parexec_tui.settings import SettingsError, read_settings

    try:
        return read_settings().hosts
    except SettingsError as error:
        raise PlanFileError(f"the plan names hosts, and the settings cannot be read: {error}") from error


def _read_included(path: str) -> "PlanText":
    """A file that a plan includes. Raises SourceError."""
    from parexec_tui.client.plan_sources import read_regular
    from parexec_tui.core.plan.expanding.axes import SourceError
    from parexec_tui.core.plan.expanding.including import PlanText

    file = Path(path)
    try:
        text = _decoded(read_regular(path), file)
    except PlanFileError as error:
        raise SourceError(str(error)) from error
    return PlanText(path, text, syntax_of(file, text))


def given_here(profile: str = "", sets: "Mapping[str, str] | None" = None) -> "Given":
    """What is said of variables on a command line, and in the environment of this process."""
    from parexec_tui.core.plan.expanding.given import VARIABLE_PREFIX, Given

    environment = {
        name.removeprefix(VARIABLE_PREFIX): value
        for name, value in os.environ.items()
        if name.startswith(VARIABLE_PREFIX)
    }
    return Given(profile, environment, dict(sets or {}))


def read_again(file: Path, state: "SessionState") -> "Plan":
    """The plan in a file that belongs to this session, of the tickets that the session is about.

    Raises PlanErrors, PlanFileError, OSError.
    """
    return as_of(open_plan_file(file, state.host, state.plan.given).plan, file, state)


def as_of(plan: "Plan", file: Path, state: "SessionState") -> "Plan":
    """The plan in a file as a session has it: the tickets that it is about. Raises PlanFileError."""
    check_folder_of(plan, file, state)
    if not state.plan.selection:
        return plan
    from parexec_tui.core.wire.selection import choose
    from parexec_tui.core.wire.selectors import SelectorError

    try:
        return choose(plan, state.plan.selection).plan
    except SelectorError as error:
        raise PlanFileError(f"{name_of(file)}: {error}; the session is about {state.plan.selection.words}") from error


def check_folder_of(plan: "Plan", file: Path, state: "SessionState") -> None:
    """Raises PlanFileError if the plan works in another folder than the session."""
    if plan.workdir != state.plan.workdir:
        raise PlanFileError(
            f"{file} works in {plan.workdir}, the session in {state.plan.workdir}: this is another plan"
        )


def read_fragment_file(file: Path, state: "SessionState", sets: "Mapping[str, str] | None" = None) -> "Amend":
    """What adds the tickets of a fragment and the limits of their families, checked together with the plan that they
    join. `sets`: what a person says of its variables. Raises as `read_again` does."""
    from parexec_tui.client.plan_sources import look
    from parexec_tui.core.plan.expanding.given import Given, GivenError
    from parexec_tui.core.plan.expanding.outside import Outside
    from parexec_tui.core.plan.family import Family
    from parexec_tui.core.plan.reading.fragment import read_fragment
    from parexec_tui.core.wire.requests import Amend
    from parexec_tui.gc_control import gc_paused

    text, limits = text_of(file), dict[str, Family]()
    try:
        with gc_paused():
            added = read_fragment(
                text,
                source=name_of(file),
                format=syntax_of(file, text),
                plan=state.plan,
                host=state.host,
                given=Given(sets=dict(sets or {})),
                outside=Outside(look, _read_included),
                folder=str(Path.cwd() if is_stream(file) else file.absolute().parent),
                limits=limits,
            )
    except GivenError as error:
        raise PlanFileError(f"{name_of(file)}: {error}") from error
    return Amend(added=added, families=limits, beside=True)


def read_generated_file(
    file: Path, plan: "Plan", host: "Host | None", generation: "Generation"
) -> "dict[str, Ticket]":
    """The tickets that a command wrote, checked together with the plan that they join; none if there is no such file.

    Raises PlanErrors, PlanFileError, OSError.
    """
    from parexec_tui.client.plan_sources import look
    from parexec_tui.core.plan.expanding.including import read_no_file
    from parexec_tui.core.plan.expanding.outside import Outside
    from parexec_tui.core.plan.generated import MAX_BYTES
    from parexec_tui.core.plan.reading.fragment import read_fragment

    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return {}
    if size > MAX_BYTES:
        raise PlanFileError(f"{file}: more than {MAX_BYTES >> 20} MiB: let several tickets generate them")
    if not file.is_file():
        raise PlanFileError(f"{file}: no file: write TOML or JSON into it")
    text = text_of(file)
    outside = Outside(look, read_no_file)
    return read_fragment(
        text,
        source=str(file),
        format=syntax_of(file, text),
        plan=plan,
        host=host,
        outside=outside,
        generation=generation,
    )


def read_tickets(tickets: "Mapping[str, Any]", state: "SessionState") -> "dict[str, Ticket]":
    """Tickets as they stand in a plan, checked together with the plan that they join. Raises PlanErrors."""
    import json

    from parexec_tui.core.plan.reading.fragment import read_fragment

    text = json.dumps({"tickets": tickets})
    return read_fragment(text, source="command", format="json", plan=state.plan, host=state.host, fills=False)


def find_source(source: str, workdir: str) -> Path | None:
    """The file that a session was started from; it may have been named from another folder than this one."""
    if source == FROM_STREAM:
        return None
    named, folder = Path(source), Path(workdir)
    return next(filter(Path.is_file, (named, folder / named, folder / named.name)), None)


def trust_warning(file: Path, included: Iterable[str]) -> str:
    """Says it if others can change the plan file or one that it includes, and so what is executed; else empty."""
    from parexec_tui.trust import UntrustedError, check_file

    for each in ([] if is_stream(file) else [file]) + [*map(Path, included)]:
        try:
            check_file(each)
        except UntrustedError as error:
            return f"others can change {name_of(each)}, and so what is executed: {error.why}"
    return ""


def is_stream(file: Path) -> bool:
    """Whether a plan comes from `-`, `/dev/stdin`, a pipe or the like. Then the folder of its file means nothing."""
    folder = file.absolute().parent
    if str(file) == FROM_STREAM or str(folder) in ("/dev", "/dev/fd") or folder.is_relative_to("/proc"):
        return True  # the shell decides whether it is a pipe or a file
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False  # the error comes when it is read


def name_of(file: Path) -> str:
    """The name of a plan file in messages. It is also the name of a plan that has none of its own."""
    return "stdin" if is_stream(file) else str(file)


def text_of(file: Path) -> str:
    """The text of a file, with plain ends of lines. Raises PlanFileError, OSError."""
    return _decoded(sys.stdin.buffer.read() if str(file) == FROM_STREAM else file.read_bytes(), file)


def _decoded(data: bytes, file: Path) -> str:
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise PlanFileError(f"{name_of(file)}: not UTF-8 text (byte {error.start}): save it as UTF-8") from error


def syntax_of(file: Path, text: str) -> Literal["toml", "json"]:
    """The syntax of a file, known from its name, else from its text: no TOML begins with a brace."""
    return "json" if file.suffix == ".json" or text.lstrip("\ufeff \t\n").startswith("{") else "toml"
