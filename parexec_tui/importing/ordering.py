"""Puts tickets one after another that are called one after another."""

from parexec_tui.importing.draft import Draft


def follow(draft: Draft, found: list[str], before: list[str]) -> list[str]:
    """Let all that `found` brings wait for `before`, but what `before` has brought already.

    Answers what the next call waits for.
    """
    new = _behind(draft, found) - _behind(draft, before)
    for id_ in sorted(new):
        ticket = draft.tickets[id_]
        if before and new.isdisjoint(ticket.get("needs", ())):
            ticket["needs"] = list(dict.fromkeys([*ticket.get("needs", ()), *before]))
    return found if new else before


def _behind(draft: Draft, ids: list[str]) -> set[str]:
    """These tickets, and all that they need."""
    seen: set[str] = set()
    waiting = list(ids)
    while waiting:
        if (each := waiting.pop()) not in seen:
            seen.add(each)
            waiting += draft.tickets[each].get("needs", ())
    return seen
