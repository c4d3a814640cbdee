"""What the engine does with the worktrees of attempts. The backend does it, and the rules decide what follows."""

from collections.abc import Callable

from parexec_tui.core.rules.conflicts import decided_conflict, shown_conflict
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of, target_of
from parexec_tui.core.state.process_key import COMMIT, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.steps import gates_of
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import ConflictSeen, Work
from parexec_tui.engine.backends.backend import (
    Backend,
    CommitWork,
    DropWorktree,
    FindWorktree,
    KeepWorktree,
    LookAgain,
    MergeWork,
)
from parexec_tui.engine.pool import Pool


class WorktreeKeeper:
    """Has worktrees committed, merged, kept and dropped."""

    def __init__(self, state: SessionState, backend: Backend, pool: Pool, now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        self._began = now()
        self._backend = backend
        self._pool = pool
        self._looking: dict[str, bool] = {}
        """{ticket whose conflict is being looked at: whether its target moved meanwhile}"""

    @property
    def is_looking(self) -> bool:
        """Whether a conflict that waits for a decision is being looked at."""
        return bool(self._looking)

    def act(self, ticket: TicketState) -> None:
        """Begin the present step of an attempt, which commits or merges."""
        worktree, found = self._pool.worktree(ticket), self._state.worktrees.get(ticket.id)
        attempt = ticket.live_attempt
        assert worktree is not None
        key = ProcessKey(ticket.id, attempt.number, attempt.step)
        is_gated = bool(gates_of(self._state, ticket))
        decided, now = decided_conflict(self._state, ticket), self._now()
        began = now - attempt.step_worked(now)
        since = began if began < self._began else 0.0
        if attempt.step == COMMIT:
            lost = Work(found.made.base, found.commit, found.onto, found.merged) if found and found.lost else None
            self._backend.tend(key, CommitWork(worktree, attempt.side, is_gated, decided, lost, since))
        else:
            assert found is not None
            work = Work(found.made.base, found.commit, found.onto, found.merged)
            self._backend.tend(key, MergeWork(worktree, work, is_gated, attempt.side, decided, since))

    def look_again(self, event: ev.WorkMerged | ev.WorkLost | None = None) -> None:
        """Have all conflicts looked at that wait for a decision; `event`: those with the target
        that it tells of."""
        target = self._state.worktrees[event.ticket].made.target if event is not None else ""
        for ticket in self._state.unapproved.values():
            if conflict_of(self._state, ticket) is None or (event and target_of(self._state, ticket) != target):
                continue
            if ticket.id in self._looking:
                self._looking[ticket.id] = True
            else:
                self._look(ticket)

    def _look(self, ticket: TicketState) -> None:
        shown, worktree = shown_conflict(self._state, ticket), self._pool.worktree(ticket)
        if shown is not None and worktree is not None and ticket.is_in_conflict:
            self._looking[ticket.id] = False
            self._backend.tend(ProcessKey(ticket.id, ticket.attempts), LookAgain(worktree, shown))

    def looked(self, report: ConflictSeen) -> None:
        """Note that a look at a conflict is over."""
        ticket = self._state.tickets.get(report.ticket)
        if self._looking.pop(report.ticket, False) and ticket is not None:
            self._look(ticket)

    def tidy(self, event: ev.AttemptEnded | ev.WorktreeDropped) -> None:
        """Remove the worktree of what is merged or takes too much room; of what is not merged, find out its size."""
        found, ticket = self._state.worktrees.get(event.ticket), self._state.tickets.get(event.ticket)
        worktree = self._pool.worktree(ticket) if ticket is not None else None
        if found is None or worktree is None or found.made.attempt != event.attempt:
            return
        key = ProcessKey(event.ticket, event.attempt)
        if isinstance(event, ev.WorktreeDropped):
            self._backend.tend(key, DropWorktree(worktree, is_merged=False))
        elif found.landed is not None:
            if not found.holds:
                self._backend.tend(key, DropWorktree(worktree, is_merged=True))
        elif event.then is not Status.approval:
            self._backend.tend(key, KeepWorktree(worktree))

    def recover(self) -> None:
        """Do again what the engine before may not have done."""
        self.look_again()
        for id_, found in list(self._state.worktrees.items()):
            ticket = self._state.tickets.get(id_)
            worktree = self._pool.worktree(ticket) if ticket is not None else None
            if ticket is None or worktree is None or found.made.attempt != ticket.attempts or ticket.is_live:
                continue
            key = ProcessKey(id_, ticket.attempts)
            if found.landed is not None:
                if not found.holds:
                    self._backend.tend(key, DropWorktree(worktree, is_merged=True))
            elif found.size is None and ticket.status is not Status.approval:
                self._backend.tend(key, KeepWorktree(worktree, since=found.made.at))
        for ticket in self._state.live.values() if self._state.has_worktrees else ():
            found_made = self._state.worktrees.get(ticket.id)
            worktree = self._pool.worktree(ticket)
            if worktree is not None and (found_made is None or found_made.made.attempt != ticket.attempts):
                self._backend.tend(ProcessKey(ticket.id, ticket.attempts), FindWorktree(worktree))
