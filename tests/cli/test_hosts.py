"""`parexec hosts`: real hosts on the loopback, reached by a real ssh."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parexec_tui.cli import doctor
from parexec_tui.cli.doctor import Machine
from parexec_tui.cli.entry import cli
from parexec_tui.core.plan.model import Host
from parexec_tui.engine.backends.remote import own_sshd
from parexec_tui.engine.backends.remote.channel import Facts
from parexec_tui.engine.backends.remote.look import _remarks
from parexec_tui.engine.backends.remote.try_host import Sshd as TrySshd
from parexec_tui.engine.backends.remote.try_host import remove, set_up
from parexec_tui.paths import state_home, try_host
from parexec_tui.settings import settings_file
from tests.engine.backends.worlds import Sshd
from tests.engine.engines import until
from tests.hosts.sshd import require_sshd

PLAN = """
[hosts.box]
ssh = "host"
python = "/usr/bin/python3"
[hosts.elsewhere]
ssh = "host"
workdir = "/"
[hosts.copied]
ssh = "host"
workdir = "/nowhere/yet"
sync = "rsync"
[hosts.gone]
ssh = "no-such-host.invalid"
[hosts.odd]
ssh = "host"
python = "/bin/true"
[agents.all]
on = ["box", "elsewhere", "copied", "gone", "odd"]
[tickets.T]
run = "true"
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`ssh host` reaches this machine."""
    sshd = Sshd(tmp_path / "keys")
    monkeypatch.setenv("PATH", f"{sshd.keys.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    yield
    sshd.close()


def parexec(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


@pytest.mark.usefixtures("ssh")
def test_each_host_says_what_it_has_or_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    before = set(tmp_path.iterdir())

    ran = parexec("hosts", "check", "plan.toml", "--json")

    assert ran.exit_code == 1, ran.output
    box, elsewhere, copied, gone, odd = json.loads(ran.stdout)["hosts"]
    assert (box["problem"], box["remarks"], box["workdir_exists"]) == ("", [], True)
    assert box["cpus"] == len(os.sched_getaffinity(0))
    assert box["memory"] > 0 < box["disk_free"]
    assert abs(box["skew"]) < 2
    assert elsewhere["problem"].startswith("/ there is another folder than the plan's here: mount the same")
    assert (copied["problem"], copied["workdir_exists"]) == ("", False), "it is made when it is needed"
    assert gone["problem"].startswith("there is no host of this name: see ~/.ssh/config (")
    assert (gone["was_reached"], elsewhere["was_reached"]) == (False, True)
    assert [box["standing"], json.loads(ran.stdout)["session"]] == [None, None], "no engine knows them"
    assert odd["problem"].startswith("what `python` says is no python3 of 3.8 or later there")
    assert set(tmp_path.iterdir()) == before
    told = parexec("hosts", "plan.toml").stdout.splitlines()
    assert [line.split()[1] for line in told[1:-1]] == ["box:", "elsewhere:", "copied:", "gone:", "odd:"]
    assert told[-1].strip().startswith("box, elsewhere and copied are one machine")


@pytest.mark.usefixtures("ssh")
def test_hosts_of_the_settings_are_looked_at_by_hosts_and_by_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('[hosts.mine]\nssh = "host"\n')

    ran = parexec("hosts")

    assert ran.exit_code == 0, ran.output
    ssh, mine = ran.stdout.splitlines()
    assert ssh.startswith("fine  ssh of this machine: OpenSSH_")
    assert mine.startswith("fine  mine: host: ")
    assert "; clock as here" in ran.stdout
    (found,) = doctor.other_machines(None)
    assert (found.check, found.fine) == ("hosts", True)
    assert found.text == mine.removeprefix("fine  ")


def test_without_hosts_there_is_nothing_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = parexec("hosts")
    assert (ran.exit_code, ran.stdout[:10]) == (0, "no hosts: ")
    assert "hosts" not in {found.check for found in doctor.examine(Host(2.0, 1 << 30), machine=Machine())}
    assert parexec("hosts", "check", "a", "b").exit_code == 2


def test_a_clock_that_is_wrong_and_a_full_disk_are_said() -> None:
    assert list(_remarks(Facts(skew=1.0, disk_free=1 << 40))) == []
    clock, disk = _remarks(Facts(skew=-7.2, disk_free=1 << 20))
    assert clock.text.startswith("its clock is 7.2s behind the one here")
    assert disk.text == "only 1MiB are free where its logs go"


@pytest.fixture
def removed() -> Iterator[None]:
    """No sshd stays behind, whatever happens."""
    require_sshd()
    yield
    remove()


@pytest.mark.usefixtures("removed")
def test_try_sets_up_a_host_and_removes_it_when_nobody_uses_it(tmp_path: Path) -> None:
    first, again = parexec("hosts", "--try"), parexec("hosts", "--try")
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert first.stdout.startswith("set up: an sshd on 127.0.0.1, port ")
    assert again.stdout.splitlines()[0] == first.stdout.splitlines()[0].replace("set up", "there already")
    assert "\nfine  parexec-try: " in first.stdout
    assert {file.name for file in state_home().iterdir()} == {"try-host", "trying-host"}
    assert try_host().stat().st_mode & 0o077 == 0

    plan = tmp_path / "plan.toml"
    plan.write_text('hosts.a.ssh = "parexec-try"\nagents.b.on = ["a"]\ntickets.c = { run = "true" }\n')
    assert parexec("hosts", str(plan)).exit_code == 0
    assert not list(try_host().glob("state/parexec/spool/*")), "a look leaves nothing behind"
    said = tmp_path / "said"
    words = ("ssh", "-F", str(try_host() / "config"), "parexec-try", f"echo in > {said}; exec sleep 100")
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as user:
        until(said.exists, "somebody is logged in")
        refused = parexec("hosts", "--try", "--remove")
        user.kill()
    assert (refused.exit_code, refused.stderr[:41]) == (1, "parexec: a session runs tickets there: st")
    sshd, is_new = set_up()
    assert not is_new
    done = parexec("hosts", "--try", "--remove")
    assert (done.exit_code, done.stdout) == (0, "removed\n"), done.output
    assert not sshd.is_there
    assert not try_host().exists()
    assert parexec("hosts", "--try", "--remove").stdout == "there was none\n"
    assert "LOOK  a: parexec-try: it is not set up: parexec hosts --try\n" in parexec("hosts", str(plan)).stdout


@pytest.mark.usefixtures("removed")
def test_a_pid_of_another_boot_is_no_sshd_of_ours() -> None:
    sshd, _ = set_up()
    assert sshd.is_there
    assert not TrySshd(sshd.pid, sshd.birth, "another boot", sshd.port).is_there


def test_what_is_missing_for_a_host_to_try_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(own_sshd, "_MORE_FOLDERS", "")
    ran = parexec("hosts", "--try")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("parexec: there is no ssh, there is no ssh-keygen, there is no sshd, which need not")
    assert ran.stderr.endswith(": apt-get install openssh-server openssh-client\n")
    assert parexec("hosts", "--remove").exit_code == 2
