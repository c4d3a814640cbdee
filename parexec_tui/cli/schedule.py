"""schedule: let the timers of systemd, or cron, run a plan."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.exits import BAD_USAGE, fail, report_errors
from parexec_tui.cli.plans import plan_of
from parexec_tui.cli.schedule_units import MARK, Schedule, unit_name
from parexec_tui.cli.variables import variable_options, words_of

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
"""Variables that a timer would not have as this shell has them: which programs, which sessions, which settings."""


@click.command()
@click.argument("plan", metavar="[PLAN]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--on-calendar", "calendar", metavar="TIME", help="When: daily, 'Mon..Fri 02:30'; see systemd.time(7).")
@click.option("--list", "lists", is_flag=True, help="Print which plans have a timer.")
@click.option("--remove", is_flag=True, help="Remove the timer of PLAN.")
@click.option("--force", is_flag=True, help="Replace the timer of PLAN, if it has another one.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the units and the crontab line, and change nothing.")
@variable_options
@report_errors()
def schedule(
    plan: Path | None,
    calendar: str | None,
    lists: bool,
    remove: bool,
    force: bool,
    dry_run: bool,
    given: "Given",
) -> None:
    """Run PLAN at set times, by a timer of your systemd. Without one, the line for `crontab -e` is printed.

    The timer runs `parexec run PLAN --headless --brief` in the folder of the plan, with the PATH of this shell, and
    with what this command line and the environment say of the variables of the plan. What that prints is in the
    journal; `parexec ls` has its sessions. A timer that is there is left as it is without --force.
    """
    if sum((calendar is not None, lists, remove)) != 1 or (lists and plan is not None):
        raise click.UsageError("say when, --on-calendar TIME, or --remove, or --list without PLAN")
    if lists:
        for name, of, when in _timers():
            click.echo(f"{name}  {when}  {of}")
        return
    if plan is None:
        raise click.UsageError("say which PLAN")
    plan = plan.absolute()
    if remove:
        _remove(unit_name(plan), plan)
        return
    from parexec_tui.core.plan.expanding.given import VARIABLE_PREFIX

    assert calendar is not None
    if "\n" in f"{calendar}{plan}" or not calendar.strip():
        fail("neither the time nor the path may be empty or have several lines", BAD_USAGE)
    _check_time(calendar)
    here = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    variables = plan_of(plan, None, given=given).variables
    here |= {f"{VARIABLE_PREFIX}{name}": text for name, text in given.environment.items() if name in variables}
    words = words_of(given)
    if long := next((name for name, value in [*here.items(), *zip(words, words, strict=True)] if "\n" in value), ""):
        fail(f"{long.partition('=')[0]} has several lines, which no timer can have", BAD_USAGE)
    wanted = Schedule(plan, calendar.strip(), (*_parexec(), "run", str(plan), *words, "--headless", "--brief"), here)
    if dry_run:
        for name, text in wanted.units.items():
            click.echo(f"{_folder() / name}:\n{text}")
        click.echo(f"crontab: {wanted.cron_line or 'cron has no such times'}")
    elif _has_systemd():
        _install(wanted, force=force)
    elif wanted.cron_line is None:
        fail(f"your systemd does not answer, and cron has no such times as {calendar!r}: nothing was changed")
    else:
        click.echo("parexec: your systemd does not answer; nothing was changed; for `crontab -e`:", err=True)
        click.echo(wanted.cron_line)


def _parexec() -> tuple[str, ...]:
    """How this very parexec is called from anywhere."""
    script = Path(sys.executable).with_name("parexec")
    if script.is_file():
        return (str(script),)
    return (sys.executable, "-c", "from parexec_tui.cli import main; main()")


def _folder() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    return (Path(home) if home.startswith("/") else Path.home() / ".config") / "systemd" / "user"


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemctl", "--user", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _has_systemd() -> bool:
    return shutil.which("systemctl") is not None and _systemctl("show-environment").returncode == 0


def _check_time(calendar: str) -> None:
    """Exit if systemd, where it is, does not know such a time."""
    if shutil.which("systemd-analyze") is not None:
        tried = subprocess.run(
            ["systemd-analyze", "calendar", calendar],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode != 0:
            said = (tried.stderr.strip().splitlines() or ["it is no time"])[0]
            fail(f"--on-calendar {calendar!r}: {said}: for instance daily, 'Mon..Fri 02:30'", BAD_USAGE)


def _install(wanted: Schedule, *, force: bool) -> None:
    from parexec_tui.report.formats import WriteError
    from parexec_tui.report.writing import write_file

    folder = _folder()
    files = {folder / name: text for name, text in wanted.units.items()}
    for file, text in files.items():
        if not file.exists() or (there := file.read_text(encoding="utf-8", errors="surrogateescape")) == text:
            continue
        if not there.startswith(MARK):
            fail(f"{file} was not written by parexec schedule: it is left as it is")
        if not force:
            fail(f"{file} says something else: it is left as it is (--force replaces it)")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file, text in files.items():
            write_file(file, [text.encode(errors="surrogateescape")], replaces=True)
    except WriteError as error:
        fail(str(error))
    timer = f"{unit_name(wanted.plan)}.timer"
    for words in (("daemon-reload",), ("enable", timer), ("restart", timer)):
        if (done := _systemctl(*words)).returncode != 0:
            fail(f"systemctl --user {' '.join(words)}: {done.stderr.strip()}; the units are written: {folder}")
    click.echo(f"{timer} runs {wanted.plan}: {wanted.calendar}")
    click.echo(
        f"see it: systemctl --user list-timers; what it printed: journalctl --user -u {unit_name(wanted.plan)}"
    )
    if not Path("/var/lib/systemd/linger", Path.home().owner()).exists():
        click.echo("parexec: it runs only while you are logged in, until you say: loginctl enable-linger", err=True)


def _timers() -> Iterator[tuple[str, str, str]]:
    """Name, plan and times of each timer that was written by `schedule`."""
    folder = _folder()
    for file in sorted(folder.glob("parexec-*.timer")):
        text = file.read_text(encoding="utf-8", errors="replace")
        if text.startswith(MARK):
            lines = text.splitlines()
            when = next((line.partition("=")[2] for line in lines if line.startswith("OnCalendar=")), "?")
            yield file.name, lines[0].removeprefix(MARK), when


def _remove(name: str, plan: Path) -> None:
    files = [file for ending in ("timer", "service") if (file := _folder() / f"{name}.{ending}").exists()]
    if not files:
        fail(f"{plan} has no timer: parexec schedule --list; lines of a crontab are removed with crontab -e")
    for file in files:
        if not file.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            fail(f"{file} was not written by parexec schedule: it is left as it is")
    if has_systemd := _has_systemd():
        _systemctl("disable", "--now", f"{name}.timer")
    for file in files:
        file.unlink()
    if has_systemd:
        _systemctl("daemon-reload")
    click.echo(f"removed: {name}.timer")


COMMANDS: tuple[click.Command, ...] = (schedule,)
