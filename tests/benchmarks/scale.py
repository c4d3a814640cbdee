"""What 1,000, 10,000 and 100,000 tickets cost: `python tests/benchmarks/scale.py`.

For each size, in a process of its own: seconds to load and check a plan from TOML and from JSON, until the first
ticket starts, and peak memory; then the cost of one ticket (decide, apply, dispatch, journal; no process), with the
ratio to the smallest size; and what the registry keeps of the plan and a viewer makes of that: bytes, seconds until
it has the state of the session, peak memory. Plans have two needs, a claim, a timeout and a priority for each ticket;
`family` is a plan of ten lines with as many tickets, without needs. The promises: 100,000 tickets start within 12 s
from TOML and 5 s from JSON, in at most 700 MB; a ticket costs at most 1.5 times what it costs at 1,000; a stored
family has at most 10 kB. Seconds are only shown beside a reference: tomli alone (TOML) or json alone (JSON).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

SIZES = (1_000, 10_000, 100_000)
PROMISED_RATIO, PROMISED_MB = 1.5, 700
PROMISED_SECONDS = {"toml": 12.0, "json": 5.0, "family": 12.0}
PROMISED_FAMILY = 10_000

FAMILY = """
[plan]
name = "scale"
parallel = 8
[tickets.T]
foreach = {{ n = "1..{count}" }}
title = "Ticket number {{n}}"
run = "true"
timeout = "30m"
writes = ["out/{{n}}.txt"]
"""


def plan_text(count: int, syntax: str) -> str:
    if syntax == "family":
        return FAMILY.format(count=count)
    tickets = {
        f"T-{number}": {
            "title": f"Ticket number {number}",
            "run": "true",
            "needs": sorted({f"T-{number - step}" for step in (500, 777) if number >= step}),
            "priority": ("low", "medium", "high")[number % 3],
            "timeout": "30m",
            "writes": [f"out/{number}.txt"],
        }
        for number in range(count)
    }
    if syntax == "json":
        return json.dumps({"plan": {"name": "scale", "parallel": 8}, "tickets": tickets})
    tables = (
        f"[tickets.{id_}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in ticket.items())
        for id_, ticket in tickets.items()
    )
    return '[plan]\nname = "scale"\nparallel = 8\n' + "\n".join(tables)


def _format(file: Path) -> Literal["toml", "json"]:
    return "json" if file.suffix == ".json" else "toml"


def measure_load(file: Path) -> dict[str, float]:
    """In a fresh process: everything from the text to the moment that the first process could be spawned."""
    import tomli

    from parexec_tui.core.plan.reading.file import read_plan
    from parexec_tui.core.rules.session_events import opening
    from parexec_tui.core.schedule.dispatcher import Dispatcher
    from parexec_tui.core.state import events
    from parexec_tui.core.state.apply import apply
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.gc_control import gc_paused

    text = file.read_text(encoding="utf-8")
    started = time.perf_counter()
    with gc_paused():
        plan = read_plan(text, source=str(file), folder="/w", format=_format(file))
    loaded = time.perf_counter()
    with gc_paused():
        state = SessionState(plan)
    dispatcher = Dispatcher(state)
    first_events = opening(state, session="s", cpus=8, memory=2**34, pid=1, boot="b", version="0", by="me", now=0.0)
    for event in first_events:
        apply(state, event)
    first: list[events.AnyEvent] = []

    def emit(event: events.AnyEvent) -> None:
        apply(state, event)
        first.append(event)

    dispatcher.dispatch(0.0, emit)
    assert first
    ready = time.perf_counter()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reference = time.perf_counter()
    (json.loads if file.suffix == ".json" else tomli.loads)(text)
    reference = time.perf_counter() - reference
    return {"load": loaded - started, "start": ready - started, "mb": megabytes, "reference": reference}


def measure_ticket(file: Path, most: int = 20_000) -> dict[str, float]:
    """In a fresh process: seconds for one ticket from ready to succeeded, events written to a real registry."""
    import gc

    from parexec_tui.core.plan.reading.file import read_plan
    from parexec_tui.core.rules.reports import on_report
    from parexec_tui.core.rules.session_events import opening
    from parexec_tui.core.schedule.dispatcher import Dispatcher
    from parexec_tui.core.state import events
    from parexec_tui.core.state.apply import apply
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire import codec
    from parexec_tui.core.wire.requests import ProcessEnded
    from parexec_tui.registry.registry import Registry

    state = SessionState(read_plan(file.read_text(encoding="utf-8"), source="", folder="/w", format=_format(file)))
    dispatcher = Dispatcher(state)
    registry = Registry.open(file.with_name(f"{os.getpid()}.db"))
    registry.create_session("s", name="", plan=b"", source="", folder="", workdir="", at=0.0, boot="", pid=1)
    pending: list[events.AnyEvent] = []
    seq = 0

    def emit(event: events.AnyEvent) -> None:
        apply(state, event)
        pending.append(event)

    def remember() -> None:
        nonlocal seq
        entries = [(seq + n, e.at, codec.kind_of(e), codec.encode(e)) for n, e in enumerate(pending, 1)]
        registry.append("s", entries)
        seq += len(entries)
        pending.clear()

    for event in opening(state, session="s", cpus=8, memory=2**34, pid=1, boot="b", version="0", by="me", now=0.0):
        emit(event)
    gc.collect()
    gc.freeze()
    done, started = 0, time.perf_counter()
    dispatcher.dispatch(0.0, emit)
    while state.live and done < most:
        ticket = next(iter(state.live.values()))
        for event in on_report(state, ProcessEnded(ticket.id, ticket.attempts, 0), float(done)):
            emit(event)
        dispatcher.dispatch(float(done), emit)
        remember()
        done += 1
    return {"ticket": (time.perf_counter() - started) / done}


def measure_stored(file: Path) -> dict[str, float]:
    """In a fresh process: what is stored, beside the file."""
    from parexec_tui.core.plan.reading.file import read_plan
    from parexec_tui.core.wire import codec
    from parexec_tui.gc_control import gc_paused

    with gc_paused():
        plan = read_plan(file.read_text(encoding="utf-8"), source="", folder="/w", format=_format(file))
        started = time.perf_counter()
        data = codec.encode_plan(plan)
    taken = time.perf_counter() - started
    file.with_suffix(".stored").write_bytes(data)
    return {"encode": taken, "bytes": len(data)}


def measure_viewer(file: Path) -> dict[str, float]:
    """In a fresh process: the state of a viewer from what is stored."""
    from parexec_tui.client.mirror import Mirror

    stored = file.with_suffix(".stored").read_bytes()
    started = time.perf_counter()
    mirror = Mirror("s", stored)
    taken = time.perf_counter() - started
    assert mirror.state.tickets
    return {"state": taken, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


MEASURES = {"load": measure_load, "ticket": measure_ticket, "stored": measure_stored, "viewer": measure_viewer}


def in_fresh_process(what: str, file: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--inner", what, str(file)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inner", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        what, file = options.inner
        print(json.dumps(MEASURES[what](Path(file))))
        return
    broken = []
    base = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for count in SIZES:
            for syntax in PROMISED_SECONDS:
                file = Path(folder, f"{syntax}{count}.{'json' if syntax == 'json' else 'toml'}")
                file.write_text(plan_text(count, syntax), encoding="utf-8")
                found, alone = in_fresh_process("load", file), "json" if syntax == "json" else "tomli"
                than = "" if syntax == "family" else f"({found['start'] / found['reference']:4.1f} x {alone} alone)"
                print(
                    f"{count:>7} {syntax:<6}: load {found['load']:6.2f}s  first start {found['start']:6.2f}s  "
                    f"{than:<21}{found['mb']:4.0f} MB",
                    flush=True,
                )
                if found["start"] > PROMISED_SECONDS[syntax] or found["mb"] > PROMISED_MB:
                    broken.append(f"{count} {syntax}")
                if syntax == "toml":
                    continue
                stored, viewer = in_fresh_process("stored", file), in_fresh_process("viewer", file)
                print(
                    f"{count:>7} {syntax:<6}: {stored['bytes']:,.0f} bytes stored in {stored['encode']:.2f}s; "
                    f"a viewer: {viewer['state']:.2f}s, {viewer['mb']:.0f} MB",
                    flush=True,
                )
                if syntax == "family" and stored["bytes"] > PROMISED_FAMILY:
                    broken.append(f"{count} {syntax}: {stored['bytes']} bytes")
                # The smaller sizes are measured three times: their runs are short.
                tries = 1 if count == SIZES[-1] else 3
                ticket = min(in_fresh_process("ticket", file)["ticket"] for _ in range(tries))
                base = base or ticket
                print(
                    f"{count:>7} {syntax:<6}: {ticket * 1e6:.0f} us a ticket, {ticket / base:.2f} times that of "
                    f"{SIZES[0]} from JSON",
                    flush=True,
                )
                if ticket / base > PROMISED_RATIO:
                    broken.append(f"{count} {syntax}: ratio {ticket / base:.2f}")
    print("broken promises: " + ", ".join(broken) if broken else "every promise kept")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
