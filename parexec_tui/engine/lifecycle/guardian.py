"""The guardian: the tiny process that starts the engine of a session, and starts it again when it dies.

Run as a script of its own, `python -I -S guardian.py PYTHON READY_FD SESSION OPTIONS…`, in a session of its own, with
the session's `engine.log` as its output. It imports next to nothing and sleeps in waitpid, so it costs a few MB and
no time; and since it does nothing else, little can happen to it.

    the engine ends with      the guardian
    0                         ends as well: it left in good order
    CANNOT_START              ends as well: another try would not do better
    STATE_LOST                ends as well: somebody took the files of the session away
    anything else, a signal   starts it again, at most RESTARTS times in WITHIN seconds; then it has the session
                              marked as interrupted, and ends
"""

import os
import signal
import sys
import time

RESTARTS = 5
WITHIN = 60.0
PAUSE = 0.1
"""Seconds before a second restart within that time; it doubles. The first is at once."""

CANNOT_START = 75
"""The exit code of an engine that would fail again: the registry is bad, or another engine owns the session."""

STATE_LOST = 74
"""The exit code of an engine whose state folder, registry or lock somebody removed or replaced."""

COULD_NOT_SPAWN = 71
"""Stands for the exit code of an engine whose process could not be started."""

PASSED_ON = (signal.SIGTERM, signal.SIGINT)
"""Signals that are sent on to the engine."""


def main(python: str, ready: str, session: str, *options: str) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keep_descriptors(besides=int(ready))
    engine = Engine([python, "-P", "-m", "parexec_tui.engine", session])
    first = [*options, "--ready-fd", ready]
    again: list[str] = []
    deaths: list[float] = []
    say(f"guardian {os.getpid()} of {session}")
    while (code := engine.run([*first, *again])) not in (0, CANNOT_START, STATE_LOST):
        deaths = [at for at in deaths if at > time.monotonic() - WITHIN] + [time.monotonic()]
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        if len(deaths) > RESTARTS:
            reason = f"the engine died {len(deaths)} times within {WITHIN:.0f} seconds, the last time {how}"
            say(f"giving up: {reason}")
            engine.run(["--give-up", reason])
            return 1
        say(f"the engine died {how}; starting it again")
        if len(deaths) > 1:
            time.sleep(PAUSE * 2.0 ** (len(deaths) - 2))
        again = ["--restarted"]
    return code


def keep_descriptors(besides: int) -> None:
    """Keep the engine from inheriting our descriptors (one is the lock that says we live), except its ready line."""
    for fd in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - pathlib alone is a third of our memory
        if fd > 2 and fd != besides:
            try:  # noqa: SIM105
                os.set_inheritable(fd, False)
            except OSError:  # the descriptor that listed them
                pass


class Engine:
    """The engine's process, one at a time."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._pid = 0
        self._missed: list[int] = []
        """Signals that came while there was no engine to take them."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)

    def run(self, options: list[str]) -> int:
        """Start the engine, wait for its end, return its exit code; minus the signal, if one killed it."""
        # Both signals are blocked in it until it listens: it must obey them, and they must not kill it.
        command = [*self._command, *options]
        try:
            self._pid = os.posix_spawn(command[0], command, os.environ, setsigmask=PASSED_ON)
        except OSError as error:
            say(f"cannot start {command[0]}: {error}")
            return COULD_NOT_SPAWN
        while self._missed:
            self._pass_on(self._missed.pop(), None)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _pass_on(self, number: int, _frame: object) -> None:
        try:
            if self._pid:
                os.kill(self._pid, number)
                return
        except ProcessLookupError:  # it ended just now
            pass
        self._missed.append(number)


def say(text: str) -> None:
    """A line for engine.log. A full disk is no reason to end."""
    try:  # noqa: SIM105
        os.write(2, f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n".encode())
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
