"""The guardian: the tiny process that starts the engine of a session, and starts it again when it dies.

Run as a script of its own, `python -I -S guardian.py PYTHON READY_FD LOCK_FD SESSION OPTIONS…`, in a session of its
own, with the session's `engine.log` as its output. It imports next to nothing and sleeps in waitpid, so it costs a
few MB and no time; and since it does nothing else, little can happen to it.

    the engine ends with      the guardian
    0                         ends as well: it left in good order
    CANNOT_START              ends as well: another try would not do better
    STATE_LOST                ends as well: somebody took the files of the session away
    NOT_NOW                   starts it again later, for as long as that takes, and says what it waits for
    anything else, a signal   starts it again, at most RESTARTS times in WITHIN seconds; then it gives up

If an engine ran before, and the guardian gives up or the next one cannot start, the session is marked as interrupted.
"""

import errno
import os
import signal
import sys
import time

RESTARTS = 5
WITHIN = 60.0
PAUSE = 0.1
"""Seconds before a second restart within that time; it doubles. The first is at once."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before another try of what was not possible for a passing cause; it doubles."""

CANNOT_START = 75
"""The exit code of an engine that would fail again: the registry is bad, or another engine owns the session."""

STATE_LOST = 74
"""The exit code of an engine whose state folder, registry or lock somebody removed or replaced."""

NOT_NOW = 73
"""The exit code of an engine that met what passes: a full disk, too few descriptors or processes."""

COULD_NOT_SPAWN = 71
"""Stands for the exit code of an engine whose process could not be started."""

PASSED_ON = (signal.SIGTERM, signal.SIGINT)
"""Signals that are sent on to the engine."""

PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of a start for which a later one may succeed."""

NOTE_SIZE = 512
"""Bytes of the note in the lock file. It is always as long, so that a full disk has room for a new one."""


def main(python: str, ready: str, lock: str, session: str, *options: str) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keep_descriptors(besides=int(ready))
    engine = Engine([python, "-P", "-m", "parexec_tui.engine", session], Note(int(lock)))
    say(f"guardian {os.getpid()} of {session}")
    deaths: list[float] = []
    while (code := engine.run_when_possible([*options, "--ready-fd", ready])) not in (0, CANNOT_START, STATE_LOST):
        if code == NOT_NOW:
            say("it was told to stop while no engine can run: ending what runs")
            return engine.run(["--give-up", "it was stopped while no engine could run", "--end-all"])
        deaths = [at for at in deaths if at > time.monotonic() - WITHIN] + [time.monotonic()]
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        if len(deaths) > RESTARTS:
            reason = f"the engine died {len(deaths)} times within {WITHIN:.0f} seconds, the last time {how}"
            return give_up(engine, reason)
        say(f"the engine died {how}; starting it again")
        engine.died = f"{time.time():.3f} {how}"
        if len(deaths) > 1:
            time.sleep(PAUSE * 2.0 ** (len(deaths) - 2))
    if code == CANNOT_START and engine.runs > 1:
        give_up(engine, f"the engine died, and no other can start: {engine.why}")
    return code


def give_up(engine: "Engine", reason: str) -> int:
    say(f"giving up: {reason}")
    engine.run_when_possible(["--give-up", reason])
    return 1


def keep_descriptors(besides: int) -> None:
    """Keep the engine from inheriting our descriptors (one is the lock that says we live), except its ready line."""
    for fd in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - pathlib alone is a third of our memory
        if fd > 2 and fd != besides:
            try:  # noqa: SIM105
                os.set_inheritable(fd, False)
            except OSError:  # the descriptor that listed them
                pass


class Note:
    """What is written in the lock file: our pid, and what we wait for. Viewers read it: `registry.lock`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.write("")

    def write(self, text: str) -> None:
        written = f"{os.getpid()}\n{text}\n".encode()[:NOTE_SIZE].ljust(NOTE_SIZE)
        try:  # noqa: SIM105
            os.pwrite(self._fd, written, 0)
        except OSError:  # the disk is full or read-only: viewers see that themselves
            pass


class Engine:
    """The engine's process, one at a time."""

    def __init__(self, command: list[str], note: Note) -> None:
        self._command = command
        self._note = note
        self._pid = 0
        self._missed: list[int] = []
        """Signals that came while there was no engine to take them."""
        self._words, self._words_of_engine = os.pipe()
        os.set_blocking(self._words, False)
        os.set_inheritable(self._words_of_engine, True)
        self.why = ""
        """What the last engine said of why it cannot run."""
        self.runs = 0
        self.died = ""
        """When the last engine died, in seconds since the epoch, and how; the next one tells it. Empty: none did."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)

    def run_when_possible(self, options: list[str]) -> int:
        """As `run`. While a passing cause is in the way, it is tried again, slower and slower.

        NOT_NOW: it was told to end meanwhile.
        """
        pause = 0.0
        while True:
            told = bool(self._missed)
            began = time.monotonic()
            code = self.run(options if "--give-up" in options else [*options, *self._of_the_last()])
            if code != NOT_NOW or told:
                self._note.write("")
                return code
            pause = min(2 * pause, LONGEST_WAIT) if pause and time.monotonic() < began + WITHIN else FIRST_WAIT
            say(f"trying again in {pause:.0f}s")
            self._note.write(f"{time.time() + pause:.0f} {self.why}")
            self._wait(pause)

    def _of_the_last(self) -> list[str]:
        """The options that tell an engine of the one before it."""
        died = ["--died", self.died] if self.died else []
        return ["--restarted", *died] if self.runs else []

    def _wait(self, seconds: float) -> None:
        """Wait, not longer than until there is a signal for the next engine."""
        until = time.monotonic() + seconds
        while not self._missed and (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))

    def run(self, options: list[str]) -> int:
        """Start the engine, wait for its end, return its exit code; minus the signal, if one killed it."""
        # Both signals are blocked in it until it listens: it must obey them, and they must not kill it.
        command = [*self._command, *options, "--why-fd", str(self._words_of_engine)]
        try:
            self._pid = os.posix_spawn(command[0], command, os.environ, setsigmask=PASSED_ON)
        except OSError as error:
            self.why = f"cannot start {command[0]}: {error.strerror}"
            say(self.why)
            return NOT_NOW if error.errno in PASSING and self.runs else COULD_NOT_SPAWN
        self.runs += 1
        while self._missed:
            self._pass_on(self._missed.pop(), None)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        self.why = self._read_why()
        return os.waitstatus_to_exitcode(status)

    def _read_why(self) -> str:
        try:
            return os.read(self._words, NOTE_SIZE).decode(errors="replace").strip()
        except BlockingIOError:
            return "see engine.log"

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
