"""What was asked about a state and found, kept as long as it holds."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, cast

Findings = dict[Callable[..., object], object]
"""{what finds it: what it found}"""

_Found = TypeVar("_Found")
_Of = TypeVarTuple("_Of")


def remembered(findings: Findings, find: Callable[[*_Of], _Found], *of: *_Of) -> _Found:
    """What `find` returns for `of`; it is called only if it is not among the findings yet.

    Findings are kept by `find` alone: give it the same `of` each time.
    """
    if find not in findings:
        findings[find] = find(*of)
    return cast(_Found, findings[find])
