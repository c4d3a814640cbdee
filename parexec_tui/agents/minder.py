"""The minder: the process that stands between parexec and a coding CLI, for one attempt.

Run as a script of its own, `python -I -S minder.py BRIEF`, as the command of the attempt: in its group, with its
cookie, with the log as its output. It starts the CLI in a process group of its own, in the same session; writes the
prompt to it; reads what it prints; and writes the story of the attempt to its own standard output, facts to a file
that the engine reads, and what the CLI printed to two more. Its exit code says the end (`ends.EXIT_CODES`).

It outlives the engine, and nothing of the CLI outlives it: TERM is passed on in the way that each CLI takes best, so
that what an attempt cost is known also when it is stopped; and when the CLI is gone the minder ends at once.
"""

import os
import select
import signal
import sys
import time

if __name__ == "__main__":  # -I leaves the folder of the package out
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import contextlib

from parexec_tui.agents import ends
from parexec_tui.agents.brief import Brief, decode
from parexec_tui.agents.facts import Fact, count_of, encode, fact, figure_of, parse_object, text_of
from parexec_tui.agents.matching import search
from parexec_tui.agents.pipes import Lines, open_told, widened
from parexec_tui.agents.start import OF_ANOTHER_AGENT, start_of, told_file
from parexec_tui.agents.story import Story, money_of
from parexec_tui.agents.streams.reader import NOTHING_BEFORE, Exit
from parexec_tui.agents.streams.troubles import Trouble

GENTLE = 5.0
"""Seconds that a CLI gets to end by itself when it is stopped; then it is killed."""

HURRIED = 1.0
"""The same after its last word, when nothing is left to tell."""

ANSWER_EVERY = 0.3
"""Seconds between two looks for an answer, while a question waits."""

SAME_TOOL = 20
"""The same call of a tool in a row, after which a person is asked."""

LONGEST_TEXT = 4_000
"""Characters of a text in a fact."""

LONGEST_ASK = (64 << 10) + 1
"""The same of a question: who says yes has to see what to."""

CHUNK = 1 << 16

TYPE_CHECKING = False  # what `typing` has takes 5 ms to import
if TYPE_CHECKING:
    from parexec_tui.agents.hiding import Hiding


def main(path: str) -> int:
    try:
        with open(path, encoding="utf-8") as file:
            brief = decode(file.read())
    except (OSError, ValueError) as error:
        print(f"parexec: the brief of this attempt cannot be read: {error}", flush=True)
        return ends.EXIT_CODES[ends.BAD_SETUP]
    minder = Minder(brief)
    end = minder.run()
    return ends.EXIT_CODES.get(text_of(end, "end"), 1)


class Minder:
    """One attempt: it starts the CLI, once more if the conversation turns out not to be known."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief
        self.files = Files(brief)
        self.signals = Signals()

    def run(self) -> Fact:
        brief = self.brief
        for _ in range(3):
            run = Run(brief, self.files, self.signals)
            end = run.run()
            if run.stopped is None and brief.goes_on and run.reader.knows_no_conversation():
                self.files.tell(
                    fact("note", text=f"the conversation {brief.conversation} is not known: a new one begins")
                )
                brief = brief._replace(goes_on=False, conversation=new_conversation(brief), before=NOTHING_BEFORE)
            elif run.stopped is None and not brief.goes_on and run.reader.has_such_conversation():
                self.files.tell(
                    fact("note", text=f"the conversation {brief.conversation} is there already: it goes on")
                )
                brief = brief._replace(goes_on=True, prompt_going_on=brief.prompt)
            elif run.stopped is None and run.reader.was_in_the_way():
                self.files.tell(fact("note", text="another one of its kind was in its way: it starts once more"))
            else:
                break
        self.files.tell(end)
        self.files.close()
        return end


def new_conversation(brief: Brief) -> str:
    """The id of a new conversation where the CLI lets us choose; empty elsewhere."""
    from parexec_tui.agents.start import CHOOSES_CONVERSATION

    if brief.kind not in CHOOSES_CONVERSATION:
        return ""
    bits = int.from_bytes(os.urandom(16), "big") & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
    digits = f"{bits:032x}"  # a UUID of version 4, as `uuid` makes it, which takes 10 ms to import
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Signals:
    """What is to be noticed while waiting: an order to stop, the end of a child."""

    def __init__(self) -> None:
        self.stop: int | None = None
        """The signal that asked to stop."""
        self.wake, write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(asked, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _on_stop(self, number: int, _frame: object) -> None:
        self.stop = self.stop or number

    def drain(self) -> None:
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass


class Files:
    """Where things are written: the story, the facts, and the raw streams."""

    def __init__(self, brief: Brief) -> None:
        self._story = Story(
            kind=brief.kind,
            attempt=brief.attempt,
            permissions="" if brief.kind == "facts" else brief.permissions,
            goes_on=brief.conversation if brief.goes_on else "",
        )
        self._facts = _append(brief.facts)
        self._raw = {
            "stdout": [_append(brief.stream), brief.stream_limit],
            "stderr": [_append(brief.errors), brief.stream_limit],
        }
        self.hiding = _hiding(brief.secrets) if brief.secrets else None
        self._hidden = {} if self.hiding is None else {which: self.hiding.stream() for which in self._raw}
        self._log_size = os.fstat(1).st_size
        """Bytes of the log, into which nobody else writes now; a pipe has none so far."""

    def tell(self, one: Fact) -> None:
        """Write a fact into the log and the file of facts."""
        if self.hiding is not None:
            one = self.hiding.fact(one)
        longest = LONGEST_ASK if text_of(one, "fact") == "ask" else LONGEST_TEXT
        short = {name: value[:longest] if isinstance(value, str) else value for name, value in one.items()}
        if text_of(one, "fact") == "tool":
            short["log"] = self._log_size
        for line in self._story.lines(one):
            self._log_size += _write(1, line + "\n")
        _write(self._facts, encode({**short, "at": round(time.time(), 3)}) + "\n")

    def keep(self, which: str, data: bytes) -> None:
        """Keep what a CLI printed, as far as there is room."""
        if which in self._hidden:
            data = self._hidden[which].feed(data)
        self._write_raw(which, data)

    def _write_raw(self, which: str, data: bytes) -> None:
        raw = self._raw[which]
        file, room = raw
        if room > 0:
            _write_bytes(file, data[:room])
            raw[1] = room - len(data)
            if raw[1] <= 0:
                _write(file, "\n(parexec: more was printed, and is not kept)\n")

    def close(self) -> None:
        for which, stream in self._hidden.items():
            self._write_raw(which, stream.end())
        with contextlib.suppress(OSError):
            os.fsync(self._facts)


def _hiding(names: tuple[str, ...]) -> "Hiding":
    from parexec_tui.agents.hiding import Hiding

    return Hiding(value for name in names if (value := os.environb.get(name.encode())))


class Run:
    """One process of the CLI, from its start to its end."""

    def __init__(self, brief: Brief, files: Files, signals: Signals) -> None:
        self.brief = brief
        self.files = files
        self.signals = signals
        folder = os.getcwd()
        start = start_of(brief, folder=folder, in_git=_in_git(folder))
        self.argv, self.env, self.reader = start.argv, start.env, start.reader
        self.reader.prices, self.reader.search = brief.prices, search
        self.stopped: Trouble | None = None
        self._stop_at: float | None = None
        self._killed = False
        self._pid = 0
        self._code: int | None = None
        self._input = -1
        self._to_write = b""
        self._close_input = True
        self._lines: dict[str, Lines] = {}
        self._poll = select.poll()
        self._ended_at: float | None = None
        """When the CLI said its last word."""
        self._has_told_word = False
        self._told_at = time.monotonic()
        self._tools: set[str] = set()
        self._last_tool, self._same = "", 0
        self._asked: set[str] = set()
        self._answers_read = 0

    def run(self) -> Fact:
        try:
            self._start()
        except OSError as error:
            return fact("end", end=ends.BAD_SETUP, why=self._cannot_start(error))
        while self._code is None:
            self._turn()
        self._read_rest()
        self._end_group()
        code = 0 if self._ended_at is not None and self._stop_at is not None and self.stopped is None else self._code
        return self.reader.end(Exit(code, time.time(), self.stopped))

    # --- the start

    def _start(self) -> None:
        prompt = self.brief.prompt_going_on if self.brief.goes_on else self.brief.prompt
        text, self._close_input = self.reader.begin(prompt)
        self._to_write = text.encode("utf-8", "replace")
        if self.brief.kind == "facts":
            self._lines["facts"] = Lines(open_told(told_file(self.brief), is_kept=self.files.hiding is None))
        there, self._input = os.pipe()
        outs = {"stdout": widened(os.pipe()), "stderr": os.pipe()}
        actions = [(os.POSIX_SPAWN_DUP2, there, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, outs[name][1], number) for number, name in ((1, "stdout"), (2, "stderr"))]
        try:
            self._pid = os.posix_spawnp(
                self.argv[0],
                self.argv,
                self._environment(),
                file_actions=actions,
                setpgroup=0,
                setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
                setsigmask=[],
            )
        finally:
            for each in (there, outs["stdout"][1], outs["stderr"][1]):
                os.close(each)
        os.set_blocking(self._input, False)
        self._poll.register(self._input, select.POLLOUT)
        for name, (read, _) in outs.items():
            os.set_blocking(read, False)
            self._poll.register(read, select.POLLIN)
            self._lines[name] = Lines(read)
        self._poll.register(self.signals.wake, select.POLLIN)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_AGENT}
        return {**kept, **self.env}

    def _cannot_start(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            return f"{self.argv[0]} is not installed, or is not in PATH"
        return f"{self.argv[0]} cannot be started: {error.strerror}"

    # --- while it runs

    def _turn(self) -> None:
        for descriptor, events in self._poll.poll(self._patience() * 1000.0):
            if descriptor == self.signals.wake:
                self.signals.drain()
            elif descriptor == self._input:
                self._write_input(broken=bool(events & (select.POLLERR | select.POLLHUP)))
            else:
                self._read(descriptor)
        if "facts" in self._lines:
            self._read_facts()
        self._reap()
        if self._code is None:
            self._look()

    def _patience(self) -> float:
        """Seconds until something is to be looked at, if nothing happens."""
        if self._asked:
            return ANSWER_EVERY
        if "facts" in self._lines:
            return 0.2
        due = [at for at in (self._stop_at, self._silence_ends(), self._leaves_at()) if at is not None]
        return max(0.01, min(due) - time.monotonic()) if due else 60.0

    def _look(self) -> None:
        now = time.monotonic()
        if self.signals.stop is not None and self.stopped is None:
            self._stop(Trouble(ends.INTERRUPTED, f"stopped by {signal.Signals(self.signals.stop).name}"))
        if self._stop_at is not None and now >= self._stop_at and not self._killed:
            self._killed = True
            self._signal(signal.SIGKILL)
        if (silence := self._silence_ends()) is not None and now >= silence:
            self._stop(Trouble(ends.UNAVAILABLE, f"nothing was heard of it for {self.brief.silence:.0f} s"))
        is_hurried = self.signals.stop is not None and self.reader.is_over  # its word counts, and is not waited with
        if (leaves := self._leaves_at()) is not None and (now >= leaves or is_hurried):
            self._tell_word()
            if not is_hurried:
                self.files.tell(fact("note", text="it has said its last word, but does not end: it is ended"))
            self._stop_at = now + HURRIED
            self._signal(signal.SIGTERM)
        if self._asked:
            self._look_for_answers()

    def _silence_ends(self) -> float | None:
        if (
            self.brief.silence is None
            or self._tools
            or self._asked
            or self.stopped is not None
            or self.reader.is_over
        ):
            return None
        return self._told_at + self.brief.silence

    def _leaves_at(self) -> float | None:
        if self._ended_at is None or self._stop_at is not None:
            return None
        return self._ended_at + self.reader.lingers

    def _tell_word(self) -> None:
        """Write down how it ended by its last word: that counts, whatever becomes of CLI and minder from now on."""
        is_for_nothing = self.brief.goes_on and self.reader.knows_no_conversation()
        if not self._has_told_word and not is_for_nothing:
            self._has_told_word = True
            self.files.tell({**self.reader.end(Exit(0, time.time())), "fact": "last_word"})

    def _stop(self, why: Trouble) -> None:
        """Stop it gently: Claude Code tells its figures on SIGINT, the others end on SIGTERM to their whole group."""
        if self.stopped is not None or self.reader.is_over:
            return
        self.stopped = why
        self._stop_at = time.monotonic() + GENTLE
        if self.brief.kind == "claude":
            _kill(self._pid, signal.SIGINT)
        else:
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)

    def _reap(self) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self._code = code if code >= 0 else 128 - code

    def _end_group(self) -> None:
        """What is left of the CLI's own group is ended; what has left that is found by its cookie, by the engine."""
        self._signal(signal.SIGKILL)
        for descriptor in (self._input, *(each.descriptor for each in self._lines.values())):
            if descriptor >= 0:
                os.close(descriptor)

    # --- what goes in

    def _write_input(self, *, broken: bool) -> None:
        if not broken and self._to_write:
            try:
                written = os.write(self._input, self._to_write[:CHUNK])
                self._to_write = self._to_write[written:]
            except BlockingIOError:
                return
            except OSError:
                broken = True
        if broken or (not self._to_write and self._close_input):
            self._close()
        elif not self._to_write:
            self._poll.unregister(self._input)

    def _close(self) -> None:
        if self._input >= 0:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._input)
            os.close(self._input)
            self._input = -1

    def _send(self) -> None:
        """Write what the reader wants to say; close its input when all is said."""
        if self.reader.to_send and self._input >= 0:
            lines, self.reader.to_send = self.reader.to_send, []
            self._to_write += "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
            self._poll.register(self._input, select.POLLOUT)
        if self.reader.is_over and not self._close_input:
            self._close_input = True
            if not self._to_write:
                self._close()

    # --- what comes out

    def _read(self, descriptor: int) -> bool:
        """Read once; false: there is nothing more."""
        name = next(name for name, each in self._lines.items() if each.descriptor == descriptor)
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        lines = self._lines[name]
        if not data:
            self._poll.unregister(descriptor)
            self._lines_read(name, lines.rest())
            os.close(descriptor)
            lines.descriptor = -1
            return False
        if name == "stdout":
            self._told_at = time.monotonic()  # who streams what is no fact yet is not silent
        self.files.keep(name, data)
        self._lines_read(name, lines.add(data))
        return True

    def _read_facts(self) -> None:
        lines = self._lines["facts"]
        if self._asked:
            self._look_for_answers()  # what it tells next may follow from one
        with contextlib.suppress(BlockingIOError):
            while data := os.read(lines.descriptor, CHUNK):
                self._lines_read("facts", lines.add(data))

    def _read_rest(self) -> None:
        """What stands in the pipes when the CLI is gone; a tool that holds them open is not waited for."""
        for name in ("stdout", "stderr"):
            lines = self._lines[name]
            while lines.descriptor >= 0 and self._read(lines.descriptor):
                pass
            self._lines_read(name, lines.rest())
        if "facts" in self._lines:
            self._read_facts()
            self._look_for_answers()

    def _lines_read(self, name: str, lines: "list[str]") -> None:
        for line in lines:
            if self.files.hiding is not None:
                line = self.files.hiding.line(line)
            if name == "stderr":
                facts = self.reader.read_error(line)
            elif name == "stdout" and self.brief.kind == "facts":
                facts = [fact("note", text=line)]
            else:
                facts = self.reader.read(line)
            for one in facts:
                self._on_fact(one)
        if not self.reader.is_over:
            self._ended_at = None  # OpenCode may go on after a step that looked like its last
        elif self._ended_at is None:
            self._ended_at = time.monotonic()
            if self.reader.is_sure:
                self._tell_word()
        self._send()

    def _on_fact(self, one: Fact) -> None:
        self._told_at = time.monotonic()
        self.files.tell(one)
        match text_of(one, "fact"):
            case "tool":
                self._tools.add(text_of(one, "id"))
                self._on_tool(f"{text_of(one, 'name')} {text_of(one, 'arg')}")
            case "tool_end":
                self._tools.discard(text_of(one, "id"))
            case "usage":
                self._on_usage(one)
            case "ask":
                self._asked.add(text_of(one, "id"))
            case "ask_done":
                self._asked.discard(text_of(one, "id"))
            case _:
                pass

    def _on_tool(self, call: str) -> None:
        self._same = self._same + 1 if call == self._last_tool else 1
        self._last_tool = call
        if self._same >= SAME_TOOL:
            self._stop(Trouble(ends.NEEDS_YOU, f"it did the same {SAME_TOOL} times in a row: {call[:200]}"))

    def _on_usage(self, one: Fact) -> None:
        caps = self.brief.caps
        cost, turns = figure_of(one, "cost"), count_of(one, "turns")
        tokens = (count_of(one, "inp") or 0) + (count_of(one, "out") or 0)
        if caps.cost is not None and cost is not None and cost >= caps.cost:
            self._stop(Trouble(ends.BUDGET, f"{money_of(cost)} of {money_of(caps.cost)} are spent"))
        elif caps.tokens is not None and tokens >= caps.tokens:
            self._stop(Trouble(ends.BUDGET, f"{tokens} of {caps.tokens} tokens are used"))
        elif caps.turns is not None and turns is not None and turns > caps.turns:
            self._stop(Trouble(ends.NEEDS_YOU, f"it has taken its {caps.turns} turns, and may go round in circles"))

    # --- questions

    def _look_for_answers(self) -> None:
        """Answers are appended to a file by the engine: so they are there also when that was gone for a while."""
        try:
            with open(self.brief.answers, encoding="utf-8") as file:
                lines = file.read().split("\n")[:-1]
        except OSError:
            return
        for line in lines[self._answers_read :]:
            told = parse_object(line) or {}
            question, answer = text_of(told, "id"), text_of(told, "answer")
            if question in self._asked and self.reader.answer(question, answer):
                self._asked.discard(question)
                self._on_fact(fact("ask_done", id=question, answer=answer))
                self._send()
        self._answers_read = len(lines)


def _append(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, text: str) -> int:
    return _write_bytes(descriptor, text.encode("utf-8", "replace"))


def _write_bytes(descriptor: int, data: bytes) -> int:
    """Write, or go on without: a full disk must not end what an agent does. Returns how many bytes were written."""
    written = 0
    with contextlib.suppress(OSError):
        while written < len(data):
            written += os.write(descriptor, data[written:])
    return written


def _in_git(folder: str) -> bool:
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return True


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
