"""What `doctor` finds, on machines that are made up."""

import resource
from pathlib import Path

import pytest

from parexec_tui.cli import doctor
from parexec_tui.cli.doctor import Finding, Machine
from parexec_tui.core.plan.model import Host
from parexec_tui.paths import session_folder, state_home
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry

HOST = Host(2.0, 1 << 30)


class FakeMachine(Machine):
    """A machine with these files, on which commands print this."""

    def __init__(self, root: Path, files: dict[str, str], says: str | None = None) -> None:
        self.root = root
        self.says = says
        self.asked: list[tuple[str, ...]] = []
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    def output(self, *command: str) -> str | None:
        self.asked.append(command)
        return self.says


SYSTEMD = {"run/systemd/system/x": ""}
KILLS = SYSTEMD | {"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n"}


def logout(root: Path, files: dict[str, str], says: str | None = None, user: str = "ann") -> Finding:
    (found,) = doctor.logout(FakeMachine(root, files, says), user)
    return found


def test_without_systemd_logging_out_is_harmless(tmp_path: Path) -> None:
    found = logout(tmp_path, {})
    assert found.fine
    assert "no systemd" in found.text


@pytest.mark.parametrize(
    "files",
    [
        SYSTEMD,
        SYSTEMD | {"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"},
        KILLS | {"etc/systemd/logind.conf.d/50-mine.conf": "[Login]\nKillUserProcesses = no\n"},
        KILLS | {"usr/lib/systemd/logind.conf.d/90.conf": "[Login]\nKillExcludeUsers=root ann\n"},
        KILLS | {"run/systemd/logind.conf.d/90.conf": "[Login]\nKillOnlyUsers=bob\n"},
    ],
)
def test_where_systemd_lets_processes_live(tmp_path: Path, files: dict[str, str]) -> None:
    assert logout(tmp_path, files).fine


def test_where_logging_out_kills(tmp_path: Path) -> None:
    found = logout(tmp_path, KILLS, "no")
    assert not found.fine
    assert "loginctl enable-linger" in found.remedy
    assert "parexec run --scope" in found.remedy


def test_drop_ins_of_the_same_name_replace_each_other(tmp_path: Path) -> None:
    files = SYSTEMD | {
        "usr/lib/systemd/logind.conf.d/50.conf": "KillUserProcesses=yes\n",
        "etc/systemd/logind.conf.d/50.conf": "IdleAction=ignore\n",
    }
    assert logout(tmp_path, files).fine


@pytest.mark.parametrize(("says", "files"), [("yes", {}), (None, {"var/lib/systemd/linger/ann": ""})])
def test_with_lingering_a_scope_is_enough(tmp_path: Path, says: str | None, files: dict[str, str]) -> None:
    found = logout(tmp_path, KILLS | files, says)
    assert not found.fine
    assert found.remedy == "start plans with: parexec run --scope"


def test_root_is_spared_by_systemd(tmp_path: Path) -> None:
    assert logout(tmp_path, KILLS, "no", user="root").fine


MOUNTS = "/dev/a / ext4 rw 0 0\nfar:/x /home/far nfs4 rw 0 0\n/dev/b /home/far\\040away xfs rw 0 0\n"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home", "ext4"), ("/home/far/x", "nfs4"), ("/home/far away/x", "xfs"), ("/home/farther", "ext4")],
)
def test_which_file_system(folder: str, kind: str) -> None:
    assert doctor.file_system(Path(folder), MOUNTS) == kind


def test_a_journal_on_a_network_file_system(tmp_path: Path) -> None:
    state_home(create=True)
    mount_point = str(tmp_path).replace(" ", "\\040")
    machine = FakeMachine(tmp_path, {"proc/self/mounts": f"far:/ {mount_point} nfs rw 0 0\n"})
    (found,) = doctor.journal(machine)
    assert not found.fine
    assert "nfs" in found.text
    assert "XDG_STATE_HOME" in found.remedy
    (found,) = doctor.journal(FakeMachine(tmp_path / "other", {}))
    assert found.fine


def test_a_state_folder_that_cannot_be(tmp_path: Path) -> None:
    state_home().parent.mkdir()
    state_home().write_text("in the way")
    (found,) = doctor.state_folder()
    assert not found.fine
    (found,) = doctor.journal(FakeMachine(tmp_path, {}))
    assert not found.fine


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK", 1 << 80)
    (found,) = doctor.state_folder()
    assert not found.fine
    assert "min_free_disk" in found.remedy


def test_the_place_of_sockets() -> None:
    (found,) = doctor.socket_path()
    assert found.fine
    assert not list((state_home() / "sessions").glob("*")), "nothing is left of the try"


def test_too_many_tickets_for_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files, processes = doctor.room_for(files, FakeMachine(tmp_path, {}))
    assert not open_files.fine
    assert open_files.remedy
    pids = {
        "proc/self/cgroup": "0::/x\n",
        "sys/fs/cgroup/x/pids.max": "100\n",
        "sys/fs/cgroup/x/pids.current": "60\n",
    }
    _, processes = doctor.room_for(2, FakeMachine(tmp_path, pids))
    assert not processes.fine
    assert processes.text.startswith("40 more processes are allowed")


@pytest.mark.parametrize(
    ("environment", "fine"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "en_US.ISO-8859-1"}, False),
        ({}, False),
    ],
)
def test_locale(environment: dict[str, str], fine: bool) -> None:
    (found,) = doctor.locale(environment)
    assert found.fine is fine


def test_sessions_that_nobody_looks_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "listen", lambda _: None)  # the engine is this test, which has no socket
    assert list(doctor.sessions()) == []
    file = state_home(create=True) / "registry.db"
    with Registry.open(file) as registry:
        registry.create_session("s1", name="p", plan=b"{}", source="", folder="", workdir="", at=0.0, boot="", pid=0)
    (found,) = doctor.sessions()
    assert found.remedy == "parexec resume s1"
    with SessionLock(session_folder("s1", create=True).lock):
        assert list(doctor.sessions()) == []
        session_folder("s1").guardian_lock.touch()
        (found,) = doctor.sessions()
        assert "guardian of s1 is gone" in found.text


def test_everything_is_looked_at() -> None:
    checks = [finding.check for finding in doctor.examine(HOST)]
    assert checks == [
        "logout", "state folder", "owners", "journal", "socket", "processes", "cgroups", "limits of plans",
        "cpu and memory", "open files", "processes at once", "locale",
    ]  # fmt: skip


def test_doctor_says_whether_attempts_can_have_cgroups(tmp_path: Path) -> None:
    [found] = doctor.cgroups(FakeMachine(tmp_path, {}))
    assert found.fine
    assert found.text.startswith("none of version 2 can be made here")
    files = {
        "proc/self/cgroup": "0::/user\n",
        "proc/self/mountinfo": "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/user/cgroup.procs": "",
    }
    [found] = doctor.cgroups(FakeMachine(tmp_path, files))
    assert found.fine
    assert found.text == f"each attempt can have its own in {tmp_path}/sys/fs/cgroup/user"


def test_doctor_says_how_the_limits_of_plans_are_kept(tmp_path: Path) -> None:
    [found] = doctor.plan_limits(FakeMachine(tmp_path / "1", {}))
    assert found.fine
    assert found.text.startswith("of what a plan limits, cpu")
    assert "memory of each process by itself, by RLIMIT_DATA" in found.text
    assert "parexec run --scope" in found.remedy
    files = {
        "proc/self/cgroup": "3:cpu,cpuacct:/a\n2:pids:/a\n1:memory:/a\n",
        "proc/self/mountinfo": "".join(
            f"4{name} 31 0:38 / /{name} rw - cgroup cgroup rw,{name}\n" for name in ("memory", "pids", "cpu")
        ),
        **{f"{name}/a/cgroup.procs": "" for name in ("memory", "pids", "cpu")},
    }
    [found] = doctor.plan_limits(FakeMachine(tmp_path / "2", files))
    assert found.text.startswith(
        "memory by a cgroup (version 1); cpu by a cgroup (version 1); processes by a cgroup (version 1); open_files"
    )
    assert not found.remedy
