"""An sshd of a test's own: its keys, its settings, and an `ssh` that finds it by the names of its hosts."""

import os
import pwd
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest


class Keys:
    """A key for all hosts of a test and one for the person who reaches them; made in a folder.

    `ssh` in `bin` is the system's, with the settings that stand in `config`: put `bin` in front of PATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        folder.chmod(0o700)
        for name in ("host", "person"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        for program in ("ssh", "scp", "sftp"):
            if real := shutil.which(program):
                script = self.bin / program
                script.write_text(f'#!/bin/sh\nexec {real} -F {shlex.quote(str(self.config))} "$@"\n')
                script.chmod(0o755)

    def know(self, name: str, address: str, port: int = 22) -> None:
        """Have `ssh NAME` reach a host."""
        where = address if port == 22 else f"[{address}]:{port}"
        key = (self.folder / "host.pub").read_text()
        with self.known_hosts.open("a") as file:
            file.write(f"{where} {key}")
        with self.config.open("a") as file:
            file.write(
                f"Host {name}\n  HostName {address}\n  Port {port}\n  User {_user()}\n"
                f"  IdentityFile {self.folder / 'person'}\n  IdentitiesOnly yes\n"
                f"  UserKnownHostsFile {self.known_hosts}\n  StrictHostKeyChecking yes\n"
            )

    def server(self, folder: Path, address: str, port: int = 22) -> list[str]:
        """The command of an sshd that lets this user in; its own files are in a folder."""
        Path("/run/sshd").mkdir(exist_ok=True)
        settings = folder / "sshd_config"
        settings.write_text(
            f"ListenAddress {address}\nPort {port}\nHostKey {self.folder / 'host'}\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder / 'person.pub'}\nStrictModes no\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\nPrintMotd no\n"
            "PrintLastLog no\nMaxStartups 200\nMaxSessions 200\nSubsystem sftp internal-sftp\n"
        )
        return [require_sshd(), "-D", "-f", str(settings), "-E", str(folder / "sshd.log")]


def find_sshd() -> str | None:
    """The path of sshd; None if a test cannot have one here."""
    if os.getuid():
        return None
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def require_sshd() -> str:
    """The path of sshd; skips the test where there is none."""
    found = find_sshd()
    if found is None:
        pytest.skip("a test has no sshd here: it needs root, and apt-get install openssh-server")
    return found


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
