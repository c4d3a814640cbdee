"""The first process of a host: has it see its own home, boot id and processes, starts its sshd, and buries orphans.

`python init.py HOME BOOT_ID PYTHON SSHD...`: a folder that is the user's home there, a file with the boot id, a
folder that must be found there as well though it may lie in the home, and the command of sshd.
"""

import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path


def main(home: str, boot: str, python: str, *sshd: str) -> None:
    person = pwd.getpwuid(os.getuid()).pw_dir
    _mount("-t", "proc", "proc", "/proc")
    _mount("--bind", boot, "/proc/sys/kernel/random/boot_id")
    if Path(python).is_relative_to(person):
        place = Path(home, Path(python).relative_to(person))
        place.mkdir(parents=True, exist_ok=True)
        _mount("--bind", python, str(place))
    _mount("--rbind", home, person)
    os.chdir("/")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(sshd, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_obey)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


def _obey() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
