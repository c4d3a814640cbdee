"""Named units with real processes: who is told what, ports that others have, and an engine that dies."""

import socket
from pathlib import Path

from parexec_tui.core.state import events as ev
from tests.engine.engines import Engine, happened, start, ticket, until

PLAN = """
[plan]
parallel = 4
[resources]
gpu = ["0", "1"]
[tickets.A]
run = 'echo "$PAREXEC_GPU $CUDA_VISIBLE_DEVICES {gpu}" > A; until [ -e go ]; do sleep 0.02; done'
uses.gpu = 1
gates = ['echo "$PAREXEC_GPU {gpu}" >> A']
[tickets.B]
run = 'echo "$PAREXEC_GPU $CUDA_VISIBLE_DEVICES" > B; until [ -e go ]; do sleep 0.02; done'
uses.gpu = 1
env.CUDA_VISIBLE_DEVICES = "mine"
[tickets.C]
run = 'echo "$PAREXEC_GPU ${CUDA_VISIBLE_DEVICES-none}" > C'
needs = ["A", "B"]
uses.gpu = 2
[tickets.D]
run = 'echo "${PAREXEC_GPU-none} ${CUDA_VISIBLE_DEVICES-none}" > D'
"""


def written(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []


def test_each_ticket_is_told_its_units_and_keeps_them_when_the_engine_dies(tmp_path: Path) -> None:
    engine = start(tmp_path, PLAN)
    engine.until(lambda: all(written(tmp_path, name) for name in "ABD"), "they run")
    engine.kill()
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert [ticket(id_).live_attempt.units for id_ in "AB"] == [{"gpu": ("0",)}, {"gpu": ("1",)}]
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert written(tmp_path, "A") == ["0 0 0", "0 0"]
    assert written(tmp_path, "B") == ["1 mine"]
    assert written(tmp_path, "C") == ["0,1 0,1"]
    assert written(tmp_path, "D") == ["none none"]


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def test_a_port_that_another_program_has_is_passed_over_and_used_when_it_is_free(tmp_path: Path) -> None:
    first, second = map(str, free_ports(2))
    plan = f"""
    [resources]
    port = ["{first}", "{second}"]
    [tickets.A]
    run = "echo {{port}} > A"
    uses.port = 1
    [tickets.B]
    run = "echo {{port}} > B"
    uses.port = 2
    needs = ["A"]
    """
    with socket.create_server(("0.0.0.0", int(first))):
        engine = start(tmp_path, plan)
        engine.until(lambda: written(tmp_path, "A") == [second], "A has the other port")
        engine.until(lambda: happened(ev.ConflictFound, ticket="B"), "B waits for the port")
    assert engine.wait() == 0
    assert written(tmp_path, "B") == [f"{first},{second}"]
    assert [event.units for event in happened(ev.UnitsSetAside)] == [(first,), ()]
    ended = happened(ev.AttemptEnded, ticket="A")
    assert [(event.host_at_fault, event.reason) for event in ended] == [
        (True, f"port {first} is in use by another program"),
        (False, ""),
    ]
