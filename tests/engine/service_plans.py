"""Plans with services, for tests that say only what matters to them."""

import json


def service(name: str = "db", run: str = "exec sleep 600", **fields: object) -> str:
    """The table of a service. Its command lasts unless the test says otherwise."""
    return _table(f"services.{name}", run=run, **fields)


def user(id_: str = "A", run: str = "true", *, uses: tuple[str, ...] = ("db",), **fields: object) -> str:
    """The table of a ticket that uses services."""
    return _table(f"tickets.{id_}", run=run, uses_service=list(uses), **fields)


def other(id_: str, run: str = "true", **fields: object) -> str:
    """The table of a ticket that uses none."""
    return _table(f"tickets.{id_}", run=run, **fields)


def _table(name: str, **fields: object) -> str:
    return "".join((f"[{name}]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())))
