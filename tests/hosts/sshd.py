"""An sshd of a test's own: its keys, its settings, and an `ssh` that finds it by the names of its hosts."""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from parexec_tui.engine.backends.remote import own_sshd


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
        own_sshd.make_keys(folder)
        for program in ("ssh", "scp", "sftp"):
            if real := shutil.which(program):
                script = self.bin / program
                script.write_text(f'#!/bin/sh\nexec {real} -F {shlex.quote(str(self.config))} "$@"\n')
                script.chmod(0o755)

    def know(self, name: str, address: str, port: int = 22) -> None:
        """Have `ssh NAME` reach a host."""
        with self.known_hosts.open("a") as file:
            file.write(own_sshd.known_line(self.folder, address, port))
        with self.config.open("a") as file:
            file.write(own_sshd.client_settings(self.folder, name, address, port))

    def server(self, folder: Path, address: str, port: int = 22) -> list[str]:
        """The command of an sshd that lets this user in; its own files are in a folder."""
        command = own_sshd.server_command(require_sshd(), folder)
        (folder / "sshd_config").write_text(own_sshd.server_settings(self.folder, address, port))
        return command


def find_sshd() -> str | None:
    """The path of sshd; None if a test cannot have one here."""
    return None if os.getuid() else own_sshd.find_sshd()


def require_sshd() -> str:
    """The path of sshd; skips the test where there is none."""
    found = find_sshd()
    if found is None:
        pytest.skip("a test has no sshd here: it needs root, and apt-get install openssh-server")
    return found
