"""A supervisor is killed before each of its system calls in turn: its command begins once or not at all, and it is
known which."""

import sys
from pathlib import Path

from tests.engine.backends.remote.nodes import PROGRAM, Node, RemoteError, key
from tests.engine.engines import until

KILLED = f"""
import os, signal, sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import node
supervisor, left, supervise = 0, 0, node.supervise

def with_death(call):
    def called(*arguments, **named):
        global left
        if os.getpid() == supervisor:
            left -= 1
            if left < 0:
                os.kill(supervisor, signal.SIGKILL)
        return call(*arguments, **named)
    return called

def supervise_until(spool, kept, *more):
    global supervisor, left
    number = kept.key[1]
    try:
        open(f"{{spool.path}}/../seen-{{number}}", "x").close()
    except FileExistsError:
        pass
    else:
        supervisor, left = os.getpid(), number
    supervise(spool, kept, *more)

node.supervise = supervise_until
for name in ("open", "fsync", "rename", "pwrite", "write", "fork", "unlink", "pipe", "waitpid", "pread", "symlink"):
    setattr(os, name, with_death(getattr(os, name)))
sys.exit(node.main(sys.argv[4:]))
"""

STEPS = 50
"""More than a supervisor has calls."""


def test_a_supervisor_killed_at_each_step(spool: Path) -> None:
    node = Node(spool, sys.executable, "-c", KILLED)
    begun = [spool.parent / f"begun-{number}" for number in range(STEPS)]
    keys = [key(number) for number in range(STEPS)]
    numbers = [node.send_start(f"echo once >> {file}", at) for at, file in zip(keys, begun, strict=True)]
    began = list[bool]()
    for number in numbers:
        try:
            began.append(node.reply(number)[0]["new"])
        except RemoteError:
            began.append(False)
    again = [node.start(f"echo once >> {file}", at)["new"] for at, file in zip(keys, begun, strict=True)]
    states = until(lambda: terminal(node), "all to end")
    for number, file in enumerate(begun):
        times = len(file.read_text().split()) if file.exists() else 0
        state = states[number]["state"]
        assert times <= 1, f"step {number}: it began {times} times"
        assert state in ("ended", "lost"), f"step {number}"
        assert (state, times) != ("ended", 0), f"step {number}: it ended and did not begin"
        assert not (began[number] and again[number]), f"step {number}: it began twice"
    assert {"ended", "lost"} == {states[number]["state"] for number in range(STEPS)}
    assert (again[0], began[-1], states[STEPS - 1]["code"]) == (True, True, 0)
    assert not any((spool / "live").iterdir())
    node.close()


def terminal(node: Node) -> dict[int, dict[str, object]]:
    states = {each["key"][1]: each for each in node.ask("list")["keys"]}
    return states if all(state["state"] != "running" for state in states.values()) else {}


def test_a_node_killed_among_many_starts(spool: Path) -> None:
    keys = [key(number) for number in range(40)]
    begun = [spool.parent / f"begun-{number}" for number in range(40)]
    first = Node(spool)
    numbers = [first.send_start(f"echo once >> {file}", at) for at, file in zip(keys, begun, strict=True)]
    first.reply(numbers[5])
    first.kill()
    second = Node(spool)
    for at, file in zip(keys, begun, strict=True):
        second.start(f"echo once >> {file}", at)
    states = until(lambda: terminal(second), "all to end")
    assert [state["state"] for state in states.values()] == ["ended"] * len(keys)
    assert [file.read_text() for file in begun] == ["once\n"] * len(keys)
    second.close()
