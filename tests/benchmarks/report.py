"""What a report of 10,000 tickets costs: `python tests/benchmarks/report.py [--tickets N]`.

A session is played by the real rules with a virtual clock (no process) and remembered in a registry; it has needs,
claims, failures and retries. Then every format is written, each in a process of its own: seconds of CPU, beside a
replay of the same session alone, and the size of what is written; then a diff of two such sessions. The promise: each
takes less than 5 s and 20 MB.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

PROMISED_SECONDS, PROMISED_MB = 5.0, 20.0
FORMATS = ("text", "md", "json", "csv", "junit", "html")
ROOT = Path(__file__).parents[2]


def make(count: int) -> None:
    """Play the session, and remember it in the registry of this state folder."""
    sys.path.insert(0, str(ROOT))
    from parexec_tui.core.plan.agent_type import AgentType
    from parexec_tui.core.wire import codec
    from parexec_tui.paths import registry_file, session_folder
    from parexec_tui.registry.registry import Registry
    from tests.core.sessions import Session, plan

    random = Random(1)

    def line(number: int) -> str:
        needs = {f"T-{number - step}" for step in (500, 777) if number >= step}
        fields = [
            f"writes=out/{number}.txt",
            "retries=1",
            "retry_delay=1s",
            f"agent={random.choice(('mill', 'lab'))}",
        ]
        fields += [f"locks=db-{number % 5}"] if number % 3 == 0 else []
        return f"T-{number}: {' '.join([*sorted(needs), *fields])}"

    text = "\n".join(map(line, range(count)))
    session = Session(
        plan(text, agents={"mill": AgentType(max=10), "lab": AgentType(max=10)}, parallel=16), checks=False
    )
    session.dispatch()
    while session.state.unfinished:
        session.wait(random.expovariate(4.0))
        if live := list(session.state.live):
            id_ = random.choice(live)
            session.spawned(id_)
            session.ended(id_, code=1 if random.random() < 0.02 else 0)
        for ticket in list(session.state.tickets.values()) if not live else ():
            if ticket.retry_at is not None:
                session.back_off(ticket.id)
        session.dispatch()
    session.close()
    entries = [
        (seq, event.at, codec.kind_of(event), codec.encode(event)) for seq, event in enumerate(session.journal, 1)
    ]
    with Registry.open(registry_file()) as registry:
        for name in ("s1", "s2"):
            registry.create_session(
                name, name=name, plan=codec.encode_plan(session.plan), source=f"{name}.toml",
                folder=str(session_folder(name).path), workdir=str(Path.cwd()), at=1000.0, boot="", pid=0,
            )  # fmt: skip
            registry.append(name, entries, status="finished", ended=session.now)


def replay_seconds() -> float:
    """In a fresh process: the reference."""
    code = (
        "import time; from parexec_tui.client.sessions import replay_of; at = time.process_time(); replay_of('s1'); "
        "print(time.process_time() - at)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def cpu_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.tickets)
        return 0
    kept = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_STATE_HOME": folder, "PYTHONPATH": str(ROOT)}
        os.chdir(folder)
        subprocess.run([sys.executable, __file__, "--make", "--tickets", str(options.tickets)], check=True)
        reference = replay_seconds()
        print(f"{options.tickets} tickets; a replay alone {reference:.2f} s")
        uses = {each: ("report", "s1", "--format", each) for each in FORMATS} | {"diff": ("diff", "s1", "s2")}
        for name, words in uses.items():
            file = Path(folder, f"report.{name}")
            began = cpu_seconds()
            with file.open("wb") as out:
                command = "from parexec_tui.cli import main; main()"
                subprocess.run([sys.executable, "-c", command, *words], check=True, stdout=out)
            seconds, size = cpu_seconds() - began, file.stat().st_size / 1e6
            ok = seconds < PROMISED_SECONDS and size < PROMISED_MB
            kept += ok
            ratio, mark = seconds / reference, "" if ok else "  too much"
            print(f"{name:>6}  {seconds:5.2f} s  {ratio:4.1f} replays  {size:6.2f} MB{mark}")
    return 0 if kept == len(uses) else 1


if __name__ == "__main__":
    sys.exit(main())
