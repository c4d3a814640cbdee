"""Why tickets do not run, as `parexec why` says it: by what they wait for in the end."""

from collections.abc import Iterator, Mapping, Sequence

from parexec_tui.core.schedule.root import Root
from parexec_tui.core.wire.protocol import Roots
from parexec_tui.text.roots import command_of, root_text, waited_for_text
from parexec_tui.text.words import printable


def why_lines(reasons: Mapping[str, Sequence[str]], roots: Roots, now: float, me: str) -> Iterator[str]:
    """Each root once, with the command that ends it; below it the tickets that wait for it, with their reasons.

    `reasons`: by ticket, in the order in which they are shown. `now` and `me` as for `root_text`.
    """
    width = max(map(len, reasons), default=0)
    by_root: dict[int | None, list[str]] = {}
    for ticket in reasons:
        by_root.setdefault(roots.of.get(ticket), []).append(ticket)
    for number, waiting in sorted(by_root.items(), key=lambda item: not _stays(roots, item[0])):
        indent = ""
        if number is not None:
            found = roots.roots[number]
            command = command_of(found.root)
            yield waited_for_text(found, now, me) + (f": {command}" if command else "")
            indent = "  "
        for ticket in waiting:
            said = [
                reason
                for reason in reasons[ticket]
                if number is None or not _is_said(roots.roots[number].root, reason)
            ]
            if number is not None and not said and _is_of(roots.roots[number].root, ticket):
                continue
            if reasons[ticket] and not said:
                yield f"{indent}{ticket}"
            for place, reason in enumerate(said or (() if reasons[ticket] else ["could start now"])):
                yield f"{indent}{'' if place else ticket:<{width}}  {printable(reason)}"


def _is_said(root: Root, reason: str) -> bool:
    """Whether the line above says the reason already: what keeps everything is a reason of each ticket."""
    if root.kind in ("room", "secret", "answer"):
        return root.reason in reason
    return root.is_of_all and reason.startswith(("session ", "host short of "))


def _is_of(root: Root, ticket: str) -> bool:
    """Whether the line above is about the ticket itself, whose agent asks."""
    return root.kind == "answer" and root.ticket == ticket


def _stays(roots: Roots, number: int | None) -> bool:
    return number is not None and roots.roots[number].root.stays


def last_reasons(reasons: Mapping[str, Sequence[str]], roots: Roots) -> dict[str, list[str]]:
    """The same for scripts: the reasons of each ticket, and last what it waits for in the end, if that is known. The
    list of one that could start now is empty."""
    ends = {ticket: roots.roots[number].root for ticket, number in roots.of.items()}
    return {
        ticket: [*found, root_text(ends[ticket], None)]
        if ticket in ends and ends[ticket].kind not in ("next", "far")
        else [*found]
        for ticket, found in reasons.items()
    }
