"""Made `v1.db`, once: a registry of format 1, that every later version must open.

    python tests/registry/make_v1.py v1.db

It has served its purpose: run with later code it makes a file of a later format. Do not make `v1.db` again; add a
`v2.db` when format 2 is released. `test_migrations.py` says what must be found in it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import Counts

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def main(file: Path) -> None:
    at = START.timestamp()
    with Registry.open(file) as registry:
        for name in ("Build", "Standardise the docs"):
            session = registry.start_session(
                START,
                name=name,
                plan=b'{"name":"Build"}',
                source="/home/ada/plan.toml",
                folder=lambda session: f"/home/ada/.local/state/parexec/sessions/{session}",
                workdir="/home/ada",
                boot="c0ffee",
                pid=4321,
            )
        registry.append(
            session,
            [
                (1, at, "SessionStarted", b'{"session":1}'),
                (2, at + 1, "AttemptStarted", b'{"ticket":"T1","agent":"builder-1"}'),
                (3, at + 3, "AttemptEnded", '{"ticket":"T1","reason":"é"}'.encode()),
            ],
            status="finished",
            ended=at + 3,
            counts=Counts(total=2, succeeded=1, failed=1),
            attempts=[
                AttemptFact(
                    "T1",
                    1,
                    "builder-1",
                    at + 1,
                    ended=at + 3,
                    end="succeeded",
                    code=0,
                    log="attempts/T1.1.log",
                    peak_memory=1024,
                    cpu_seconds=0.5,
                ),
                AttemptFact("T2", 1, "builder-1", at + 1, ended=at + 2, end="failed", signal=9, reason="killed"),
            ],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
