"""Which session a command is about, if nobody says it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from parexec_tui.client import sessions
from parexec_tui.registry.sessions import SessionRow

HERE, THERE = "/srv/here", "/srv/there"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets there be these sessions, newest first; `alive`: an engine runs it."""

    def let_there_be(**told: str) -> None:
        split = {id_: words.split() for id_, words in told.items()}
        alive = {id_ for id_, (_, status) in split.items() if status == "alive"}
        rows = [
            SessionRow(id_, "test", "-", "", folder, 0.0, "", 0, "running" if id_ in alive else status, None, 1, 0, 0)
            for id_, (folder, status) in split.items()
        ]

        class Known:
            def __enter__(self) -> "Known":
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def list_sessions(self) -> tuple[list[SessionRow], list[str]]:
                return rows, []

        monkeypatch.setattr(sessions, "open_registry", Known)
        monkeypatch.setattr(sessions, "is_living", lambda session: session in alive)
        monkeypatch.setattr(Path, "cwd", lambda: Path(HERE))

    return let_there_be


@pytest.mark.parametrize("status", ["stopped", "running"])
def test_who_cannot_steer_is_told_how_what_failed_runs_again(known: Callable[..., None], status: str) -> None:
    known(a=f"{HERE} {status}")
    row = sessions.resolve_here(None)
    for failed, ending in ((0, "parexec resume a"), (2, "a (with --retry-failed what failed runs again, too)")):
        with pytest.raises(sessions.NoSuchSession) as raised:
            sessions.living_id(structs.replace(row, failed=failed), is_named=True)
        assert str(raised.value).endswith(ending)


@pytest.mark.parametrize(
    ("told", "looked_at", "here"),
    [
        ({"a": f"{THERE} alive", "b": f"{HERE} alive"}, "b", "b"),
        ({"a": f"{THERE} alive", "b": f"{HERE} stopped"}, "b", "b"),
        ({"a": f"{THERE} alive", "b": f"{HERE} running"}, "b", "b"),
        ({"a": f"{THERE} alive", "b": f"{HERE} finished"}, "a", "b"),
        ({"a": f"{THERE} alive", "b": f"{THERE} finished"}, "a", "a"),
        ({"a": f"{THERE} finished", "b": f"{HERE} finished"}, "b", "b"),
        ({"a": f"{HERE} finished", "b": f"{HERE} alive", "c": f"{THERE} alive"}, "b", "b"),
    ],
)
def test_a_session_of_this_folder_goes_first(
    known: Callable[..., None], told: dict[str, str], looked_at: str, here: str
) -> None:
    known(**told)
    assert sessions.resolve_living_first(None).session == looked_at
    assert sessions.resolve_here(None).session == here
