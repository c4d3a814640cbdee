"""What goes wrong with plans and sessions, for who calls us."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parexec_tui.core.plan.reading.problems import Problem


class ParexecError(Exception):
    """What all errors of this library have in common; the text is for a person, and says what to do."""


class PlanError(ParexecError, ValueError):
    """A plan cannot be used; the text has a line for each mistake: file, line, key, and what to write instead."""

    def __init__(self, problems: "Sequence[Problem]", text: str = "") -> None:
        super().__init__(text or "\n".join(map(str, problems)))
        self.problems = tuple(problems)
        """The mistakes one by one, with `source`, `line`, `column`, `key`, `message` and `hint`; empty if the file as
        a whole cannot be used."""


class SessionError(ParexecError):
    """A session cannot be started, found, followed or steered."""


class RefusedError(ParexecError):
    """The engine will not do what was asked."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason} ({remedy})" if remedy else reason)
        self.reason = reason
        self.remedy = remedy
        """What would make it possible; empty: nothing is known."""


@contextmanager
def session_errors() -> Iterator[None]:
    """Raise what goes wrong with sessions as ours."""
    from parexec_tui.client.framing import ClientError, Refused
    from parexec_tui.engine.errors import EngineFailedError
    from parexec_tui.engine.lifecycle.admission import NeighboursLive
    from parexec_tui.registry.errors import RegistryError

    try:
        yield
    except Refused as refused:
        raise RefusedError(refused.reason, refused.remedy) from None
    except NeighboursLive as found:
        first, more = found.neighbours[0], len(found.neighbours) - 1
        others = f", and {more} more do" if more else ""
        raise SessionError(
            f"{first.row.session} lives and claims the same: {first.reasons[0]}{others}; wait for it, or "
            "start beside it with beside=True"
        ) from None
    except (ClientError, EngineFailedError, RegistryError) as error:
        raise SessionError(str(error)) from None
