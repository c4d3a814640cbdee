"""export and import: a session in one file, for a colleague or a bug report; plans out of what other tools run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import as_json_option, session_argument
from parexec_tui.cli.exits import BAD_USAGE, NOT_DONE, fail, report_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parexec_tui.keeping.archive import Manifest, Masked
    from parexec_tui.keeping.importing import Imported


@click.command()
@session_argument("the newest of this directory")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    help="The archive to write: NAME.tar.gz or NAME.tar.zst.",
)
@click.option("--redact", is_flag=True, help="Mask the values of variables like API_TOKEN wherever they occur.")
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
@as_json_option
@report_errors()
def export(session: str | None, file: Path | None, redact: bool, force: bool, as_json: bool) -> None:
    """Put SESSION (default: the newest of this directory) into one file: plan, events, attempts and logs.

    `parexec import FILE` shows it on another machine. Of a session that lives, it has all up to now.
    """
    import msgspec

    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.keeping.archive import ENDINGS, GZIP_TAR, ArchiveError, ending_of, packed
    from parexec_tui.keeping.exporting import Export
    from parexec_tui.report.formats import WriteError
    from parexec_tui.report.writing import is_stream, write_file

    if file is None:
        fail("say which file: -o NAME.tar.gz (tables and pages are written by: parexec report -o FILE)", BAD_USAGE)
    try:
        is_piped = is_stream(file)
        ending = GZIP_TAR if is_piped and not file.name.endswith(ENDINGS) else ending_of(file)
        with open_registry() as registry:
            row = resolve_past(registry, session)
            with Export.of(registry, row, redact=redact) as found:
                size = write_file(file, packed(found.parts(), ending), replaces=force, is_private=True)
    except ArchiveError as error:
        fail(str(error), BAD_USAGE)
    except WriteError as error:
        remedy = "" if force or not file.exists() or file.is_dir() else " (--force replaces it)"
        fail(f"{error}{remedy}", NOT_DONE)
    if as_json:
        facts = {"file": str(file.absolute()), "size": size, "manifest": found.manifest}
        click.echo(msgspec.json.encode(facts), err=is_piped)  # the archive may be what is on standard output
    else:
        _print_exported(found.manifest, file, size, err=is_piped)


def _print_exported(manifest: "Manifest", file: Path, size: int, *, err: bool) -> None:
    from parexec_tui.core.plan.units import format_count, format_size
    from parexec_tui.text.words import printable

    events = format_count(manifest.events, "event")
    files = format_count(len(manifest.files), "file")
    figures = f"{events}, {files}, {format_size(size)}"
    click.echo(f"{manifest.session}: {figures}; written: {printable(str(file.absolute()))}", err=err)
    if manifest.redacted is not None:
        _print_masked(manifest.redacted, err=err)
    if manifest.lives:
        click.echo("parexec: an engine runs it: what comes after this is not in it", err=True)
    if manifest.fault:
        click.echo(f"parexec: later events cannot be read: {printable(manifest.fault)}", err=True)
    for log in manifest.without:
        click.echo(f"parexec: without {printable(log)}", err=True)


def _print_masked(redacted: "Sequence[Masked]", *, err: bool) -> None:
    from parexec_tui.core.plan.units import format_count

    times = [f"{each.variable} {format_count(each.times, 'time')}" for each in redacted if each.times]
    click.echo(f"masked: {', '.join(times) or 'nothing'}", err=err)
    for each in redacted:
        if each.kept:
            click.echo(f"parexec: a value of {each.variable} is masked where it is set, and {each.kept}", err=True)
    click.echo("parexec: other secrets may remain: look at it before you give it away", err=True)


@click.command(name="import")
@click.argument("what", metavar="FORMAT|ARCHIVE")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.argument("parts", metavar="[TARGET]...", nargs=-1)
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), help="The plan file; default: it is printed."
)
@click.option("--force", is_flag=True, help="Replace the plan file if there is one.")
@click.option("--max-size", metavar="SIZE", help="How much an archive may hold without compression; default: 4GiB.")
@as_json_option
@report_errors()
def import_(
    what: str,
    source: Path | None,
    parts: tuple[str, ...],
    file: Path | None,
    force: bool,
    max_size: str | None,
    as_json: bool,
) -> None:
    """Make a plan of what another tool runs, or take a session out of an archive.

    parexec import FORMAT [SOURCE] -o plan.toml: SOURCE is a file or its folder (default: this one), TARGETs are what
    is wanted of it. What cannot be carried over is a comment in the plan and a warning. `parexec help importing` has
    the formats.

    parexec import ARCHIVE: a session that `parexec export` wrote, to be looked at here. It is never run here, and
    estimates do not count it.
    """
    from parexec_tui.importing.formats import FORMATS

    if what in FORMATS:
        if max_size is not None:
            fail("--max-size is about archives of sessions", BAD_USAGE)
        from parexec_tui.cli.plan_importing import import_plan

        import_plan(what, source or Path(), parts, file, replaces=force, as_json=as_json)
        return
    if source is not None:
        fail(f"{what!r} is no format that plans are made of: {', '.join(FORMATS)}", BAD_USAGE)
    if file is not None or force:
        fail(f"-o and --force are about plans: parexec import FORMAT SOURCE, of {', '.join(FORMATS)}", BAD_USAGE)
    if not Path(what).exists():
        fail(f"{what}: No such file; formats that plans are made of: {', '.join(FORMATS)}", BAD_USAGE)
    _import_archive(Path(what), max_size, as_json=as_json)


def _import_archive(file: Path, max_size: str | None, *, as_json: bool) -> None:
    import msgspec

    from parexec_tui.keeping.archive import ArchiveError
    from parexec_tui.keeping.importing import MOST, import_archive

    most = MOST if max_size is None else _size(max_size)
    try:
        done = import_archive(file, most)
    except ArchiveError as error:
        fail(f"nothing is imported of {file}: {error}", BAD_USAGE)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        _print_imported(done)


def _size(text: str) -> int:
    from parexec_tui.core.plan.units import Size

    try:
        return Size.parse(text)
    except ValueError as error:
        fail(f"--max-size: {error}", BAD_USAGE)


def _print_imported(done: "Imported") -> None:
    from parexec_tui.core.plan.units import format_count, format_size
    from parexec_tui.text.words import printable

    was = "" if done.session == done.was else f" (it was {done.was}, which is taken here)"
    size = f"{format_count(done.events, 'event')}, {format_count(done.logs, 'log')}, {format_size(done.size)}"
    click.echo(f"imported: {done.session}{was}, {printable(done.name)}, {printable(done.status)}; {size}")
    if done.lives:
        click.echo("parexec: an engine ran it when it was exported: what came after that is not in it", err=True)
    if done.redacted:
        click.echo("parexec: values of variables were masked in it when it was exported", err=True)
    if done.fault:
        click.echo(f"parexec: later events were not in it: {printable(done.fault)}", err=True)
    for log in done.without:
        click.echo(f"parexec: without {printable(log)}", err=True)


COMMANDS: tuple[click.Command, ...] = (export, import_)
