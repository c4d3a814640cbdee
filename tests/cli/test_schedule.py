"""`parexec schedule`: units of systemd, and lines of a crontab."""

import shutil
import subprocess
from pathlib import Path

import pytest

from parexec_tui.cli.schedule_units import MARK, Schedule, cron_times, unit_name
from tests.cli.test_cli import parexec, refused, write

PLAN = '[tickets.a]\nrun = "true"\n'

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$SYSTEMCTL_LOG"
"""


@pytest.fixture
def home(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings of nobody, and a systemctl that writes down what it is asked for."""
    tools, config = here / "tools", here / "config"
    tools.mkdir()
    (tools / "systemctl").write_text(SYSTEMCTL)
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("SYSTEMCTL_LOG", str(here / "asked"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    return config / "systemd" / "user"


def test_a_timer_is_written_listed_left_alone_replaced_and_removed(here: Path, home: Path) -> None:
    write(here, PLAN)
    name = unit_name(here / "plan.toml")
    assert parexec("schedule", "plan.toml", "--on-calendar", "daily").code == 0
    assert sorted(file.name for file in home.iterdir()) == [f"{name}.service", f"{name}.timer"]
    assert (here / "asked").read_text().splitlines()[1:] == [
        "--user daemon-reload",
        f"--user enable {name}.timer",
        f"--user restart {name}.timer",
    ]
    assert parexec("schedule", "--list").out == f"{name}.timer  daily  {here / 'plan.toml'}\n"

    again = parexec("schedule", "plan.toml", "--on-calendar", "hourly")
    assert again.code == 1
    assert "--force replaces it" in again.err
    assert "OnCalendar=daily" in (home / f"{name}.timer").read_text()
    assert parexec("schedule", "plan.toml", "--on-calendar", "hourly", "--force").code == 0
    assert "OnCalendar=hourly" in (home / f"{name}.timer").read_text()

    assert parexec("schedule", "plan.toml", "--remove").code == 0
    assert list(home.iterdir()) == []
    assert parexec("schedule", "plan.toml", "--remove").code == 1


def test_a_unit_of_somebody_else_is_left_alone(here: Path, home: Path) -> None:
    write(here, PLAN)
    home.mkdir(parents=True)
    theirs = home / f"{unit_name(here / 'plan.toml')}.timer"
    theirs.write_text("[Timer]\n")
    assert parexec("schedule", "plan.toml", "--on-calendar", "daily", "--force").code == 1
    assert parexec("schedule", "plan.toml", "--remove").code == 1
    assert theirs.read_text() == "[Timer]\n"
    assert parexec("schedule", "--list").out == ""


def test_the_service_runs_the_plan(here: Path, home: Path) -> None:
    write(here, '[tickets.a]\nrun = "pwd > ran"\n')
    assert parexec("schedule", "plan.toml", "--on-calendar", "daily").code == 0
    text = (home / f"{unit_name(here / 'plan.toml')}.service").read_text()
    (command,) = (line.removeprefix("ExecStart=") for line in text.splitlines() if line.startswith("ExecStart="))
    assert subprocess.run(command, shell=True, cwd="/", capture_output=True, check=False).returncode == 0
    assert (here / "ran").read_text() == f"{here}\n"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_odd_names(tmp_path: Path) -> None:
    folder = tmp_path / 'an "odd" 100% $HOME \\ folder'
    folder.mkdir()
    units = Schedule(
        folder / "p.toml", "Mon..Fri 02:30", ("/bin/echo", str(folder)), {"PATH": f"{folder}:/bin"}
    ).units
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in units]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "parexec-p-" in line] == []
    assert text.startswith(f"{MARK}{folder}/p.toml\n")


@pytest.mark.usefixtures("home")
def test_without_systemd_it_is_a_line_of_a_crontab_that_runs_the_plan(here: Path) -> None:
    (here / "tools" / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    write(here, '[tickets.a]\nrun = "echo ran > ran"\n', "100%.toml")
    answer = parexec("schedule", "100%.toml", "--on-calendar", "Mon..Fri 02:30")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("30 2 * * 1-5 cd ")
    line = answer.out.split(maxsplit=5)[5].replace("\\%", "%")  # as cron does
    assert subprocess.run(line, shell=True, capture_output=True, check=False).returncode == 0
    assert (here / "ran").exists()
    assert parexec("schedule", "100%.toml", "--on-calendar", "*-02-29").code == 1


@pytest.mark.usefixtures("home")
def test_mistakes_change_nothing(here: Path) -> None:
    write(here, "[tickets.a]\nrun = 1\n")
    assert "tickets.a.run" in refused("schedule", "plan.toml", "--on-calendar", "daily")
    refused("schedule", "plan.toml")
    refused("schedule", "--remove")
    refused("schedule", "plan.toml", "--list")
    if shutil.which("systemd-analyze"):
        assert "for instance daily" in refused("schedule", "plan.toml", "--on-calendar", "now and then")
    assert not (here / "config").exists()


@pytest.mark.parametrize(
    ("calendar", "times"),
    [
        ("Daily", "0 0 * * *"),
        ("weekly", "0 0 * * 1"),
        ("02:30", "30 2 * * *"),
        ("*-*-* 04:05:00", "5 4 * * *"),
        ("*:15", "15 * * * *"),
        ("Mon,Wed..Friday 23:59", "59 23 * * 1,3-5"),
        ("*-*-01 6:00", "0 6 1 * *"),
        ("Mon *-*-01 6:00", None),
        ("24:00", None),
        ("*-*-32 6:00", None),
        ("Sat..Mon 6:00", None),
        ("02:30:15", None),
        ("2027-01-01 00:00", None),
        ("0/15:00", None),
    ],
)
def test_usual_times_are_those_of_cron_too_and_others_are_not_guessed(calendar: str, times: str | None) -> None:
    assert cron_times(calendar) == times
