"""An sshd that is nobody else's: keys, settings and log are in one folder, and ~/.ssh is neither read nor written."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_MORE_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"
"""Where sshd is, which is in few people's PATH."""

_PRIVILEGE_SEPARATION = Path("/run/sshd")
"""A folder that sshd wants to have when it is root."""


def find_sshd() -> str | None:
    """The path of sshd; None if there is none."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:{_MORE_FOLDERS}")


def make_keys(folder: Path) -> None:
    """A key for the sshd (`host`), and one for who may log in (`person`), where they are missing. Raises OSError."""
    for name in ("host", "person"):
        if not (folder / f"{name}.pub").exists():
            (folder / name).unlink(missing_ok=True)
            command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "parexec", "-f", str(folder / name))
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise OSError(f"ssh-keygen cannot make a key in {folder}: {ran.stderr.strip() or ran.stdout.strip()}")


def known_line(folder: Path, address: str, port: int) -> str:
    """The line of `known_hosts` by which its key is known."""
    where = address if port == 22 else f"[{address}]:{port}"
    return f"{where} {(folder / 'host.pub').read_text()}"


def client_settings(folder: Path, name: str, address: str, port: int) -> str:
    """The part of a file for `ssh -F` by which `ssh NAME` reaches it, whatever it says elsewhere of that name."""
    return (
        f"Host {name}\n  HostName {address}\n  Port {port}\n  User {_user()}\n"
        f"  IdentityFile {_quoted(folder / 'person')}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {_quoted(folder / 'known_hosts')}\n  GlobalKnownHostsFile none\n"
        "  StrictHostKeyChecking yes\n  ForwardAgent no\n"
    )


def server_settings(folder: Path, address: str, port: int, environment: Mapping[str, str] | None = None) -> str:
    """The settings of an sshd that lets in this user alone, with the key `person`. `environment`: of who logs in."""
    variables = " ".join(f'"{name}={value}"' for name, value in (environment or {}).items())
    return (
        f'ListenAddress {address}\nPort {port}\nHostKey "{folder / "host"}"\nPidFile none\n'
        f"AuthorizedKeysFile {_quoted(folder / 'person.pub')}\nStrictModes no\nAllowUsers {_user()}\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
        "UseDNS no\nPrintMotd no\nPrintLastLog no\nMaxStartups 200\nMaxSessions 200\nSubsystem sftp internal-sftp\n"
        + (f"SetEnv {variables}\n" if variables else "")
    )


def server_command(sshd: str, folder: Path) -> list[str]:
    """The command of an sshd whose settings are in `sshd_config` of a folder. It stays in the foreground."""
    if os.getuid() == 0:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    return [sshd, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]


def _quoted(path: Path) -> str:
    """A path where `%` begins a token."""
    return '"{}"'.format(str(path).replace("%", "%%"))


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
