"""A plan file as a person writes it, before its families are expanded: for the JSON Schema and tables of keys."""

# ruff: noqa: RUF012 - msgspec makes a new default for each struct

from typing import Annotated, Any

from msgspec import Meta, Struct

from parexec_tui.core.plan.model import PlanDocument
from parexec_tui.core.plan.ticket import Ticket

Scalar = str | int | float | bool
Row = dict[str, Any]


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where values come from; one of these."""

    glob: Annotated[str | None, Meta(description="The files that this pattern matches, seen from the workdir.")] = (
        None
    )
    lines: Annotated[str | None, Meta(description="The lines that this command prints, in the workdir.")] = None
    json: Annotated[str | None, Meta(description="The list in this file, of text, numbers or tables.")] = None


class WrittenTicket(Ticket, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One ticket, or a family of tickets: then it has `matrix` or `foreach`."""

    matrix: Annotated[
        dict[str, list[Scalar | Row] | Source | str],
        Meta(min_length=1, description="Values by name: it becomes one ticket for each combination of them."),
    ] = {}
    foreach: Annotated[
        dict[str, list[Scalar | Row] | Source | str],
        Meta(min_length=1, description="The same as `matrix`, for one list."),
    ] = {}
    exclude: Annotated[tuple[Row, ...], Meta(description="Combinations that it has no ticket for.")] = ()
    include: Annotated[
        tuple[Row, ...],
        Meta(description="Keys for the tickets that have these values, or one more ticket with all its values."),
    ] = ()
    id: Annotated[
        str, Meta(description="What its tickets are called, with their values: `test-{py}`; absent: by all of them.")
    ] = ""
    max_parallel: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="How many of its tickets run at once; absent: any number."),
    ] = None
    fail_fast: Annotated[
        bool, Meta(description="True: when one of its tickets has failed for good, the others are not run.")
    ] = False


class WrittenPlan(PlanDocument, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plan file as it is written."""

    include: Annotated[
        tuple[str, ...],
        Meta(description="Files that it begins with, seen from its folder."),
    ] = ()
    vars: Annotated[
        dict[str, Scalar | list[Scalar]], Meta(description="Variables by name; `{name}` stands for one in texts.")
    ] = {}
    profiles: Annotated[
        dict[str, dict[str, Scalar | list[Scalar]]],
        Meta(description="Other values of the variables, by profile, for `--profile`."),
    ] = {}
    tickets: Annotated[  # type: ignore[assignment]  # nobody writes into it
        dict[str, WrittenTicket], Meta(min_length=1, description="Tickets by id.")
    ]
