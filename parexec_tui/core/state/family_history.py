"""What the members of a family that have run tell of one that has not."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import log, sqrt
from statistics import median, pvariance
from typing import Protocol

from parexec_tui.core.state.history import TicketHistory, quantile

_LEAST = 0.01
"""Seconds: as in `history`."""


class Member(Protocol):
    """What is known of a ticket of a family."""

    @property
    def family(self) -> str: ...

    @property
    def member(self) -> Mapping[str, str]: ...


_Kin = tuple[str, str, tuple[tuple[str, str], ...]]
"""Members of a family that differ in one value only: the family, the name of that value, the other values."""


def of_families(
    new: Mapping[str, Member], known: Mapping[str, Member], history: Mapping[str, TicketHistory]
) -> dict[str, TicketHistory]:
    """The history that a new member is likely to have; `known`: members with a history.

    It is that of those which differ from it in one value, else of the whole family: the median of their medians. It
    is as uncertain as theirs, and as they are apart. A member without any relative has none.
    """
    near: dict[_Kin, list[TicketHistory]] = defaultdict(list)
    all_: dict[str, list[TicketHistory]] = defaultdict(list)
    for id_, member in known.items():
        all_[member.family].append(history[id_])
        for kin in _kin(member):
            near[kin].append(history[id_])
    told: dict[_Kin | str, TicketHistory] = {}
    found: dict[str, TicketHistory] = {}
    for id_, member in new.items():
        kins = [kin for kin in _kin(member) if kin in near]
        relatives = [each for kin in kins for each in near[kin]] or all_.get(member.family, [])
        if not relatives:
            continue
        key = kins[0] if len(kins) == 1 else "" if kins else member.family
        if key not in told or not key:
            told[key] = _of_relatives(relatives)
        found[id_] = told[key]
    return found


def _kin(member: Member) -> Iterator[_Kin]:
    values = tuple(sorted(member.member.items()))
    if len(values) > 1:  # with a single one, these are the whole family
        for place, (name, _) in enumerate(values):
            yield member.family, name, values[:place] + values[place + 1 :]


def _of_relatives(relatives: list[TicketHistory]) -> TicketHistory:
    weight = 1 / len(relatives)

    def nine_in_ten(values: Iterator[float]) -> float:
        return quantile([(value, weight) for value in sorted(values)], 0.9)

    apart = pvariance([log(max(each.p50, _LEAST)) for each in relatives])
    return TicketHistory(
        p50=round(median(each.p50 for each in relatives), 3),
        p90=round(nine_in_ten(each.p90 for each in relatives), 3),
        sigma=round(sqrt(median(each.sigma for each in relatives) ** 2 + apart), 4),
        runs=0,
        peak=int(nine_in_ten(float(each.peak) for each in relatives)),
    )
