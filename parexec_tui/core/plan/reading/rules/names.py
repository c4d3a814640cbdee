"""Names and ids are plain, and differ."""

import re
from collections.abc import Iterator
from itertools import chain

from parexec_tui.core.plan.model import ID_PATTERN
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.resources import unit_variable
from parexec_tui.core.plan.units import shown

PLAIN_NAME = "names are used in paths: letters, digits, `_`, `-` and `.`, at most 200, no `..`; not `-` or `.` first"

is_plain = re.compile(ID_PATTERN).fullmatch


def names_are_plain(draft: Draft) -> Iterator[Fault]:
    tables = {
        "tickets": [*draft.tickets],
        "agents": [*draft.agents],
        "resources": [*draft.resources],
        "hosts": [*draft.hosts],
        "services": [*draft.services],
        "families": [*draft.families],
    }
    for table, names in tables.items():
        for name in names:
            if not is_plain(name):
                yield Fault((table, name), f"{shown(name)} is not a plain name", PLAIN_NAME)
    locks = set(chain.from_iterable(ticket.locks for _, ticket in draft.specs()))
    if bad := {lock for lock in locks if not is_plain(lock)}:
        for id_, ticket in draft.specs():
            for index, lock in enumerate(ticket.locks):
                if lock in bad:
                    path = draft.place(id_, "locks", index)
                    yield Fault(path, f"{shown(lock)} is not a plain name", PLAIN_NAME)


def units_have_variables_of_their_own(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name in draft.resources.units:
        variable = unit_variable(name)
        if (other := first.setdefault(variable, name)) != name:
            yield Fault(
                ("resources", name),
                f"its units would be told in {variable}, as those of {shown(other)} are",
                "give one of them another name",
            )


def ids_differ_in_more_than_case(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for id_ in draft.tickets:
        other = first.setdefault(id_.lower(), id_)
        if other != id_:
            yield Fault(
                ("tickets", id_),
                f"{shown(id_)} and {shown(other)} differ only in case",
                "where the file system ignores case, their logs would be one file",
            )
