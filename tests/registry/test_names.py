"""The names in a session, read without a replay."""

from pathlib import Path

from parexec_tui.paths import registry_file
from parexec_tui.registry.names import names
from parexec_tui.registry.registry import Registry
from tests.keeping.kept import remember


def test_members_of_a_stored_family_are_among_the_tickets(tmp_path: Path) -> None:
    session = remember(tmp_path, text='[tickets.part]\nforeach = { n = "1..99" }\nrun = "true"\n')
    with Registry.open(registry_file(), read_only=True) as registry:
        assert names(registry, session).tickets == [f"part-{n}" for n in range(1, 100)]
