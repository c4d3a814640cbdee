"""export: says where to find what it did before."""

import click

from parexec_tui.cli.exits import BAD_USAGE, fail


@click.command()
@click.argument("file", required=False)
@click.option("-s", "--session", help="As `report` takes it as an argument.")
@click.option("--force", is_flag=True, help="As `report` has it.")
def export(file: str | None, session: str | None, force: bool) -> None:  # noqa: ARG001 - as it had them
    """Say what writes FILE now: `report` for .json, .csv and .txt, `events` for .jsonl."""
    name = file or "FILE.csv"
    if name.endswith(".jsonl"):
        fail(f"events are printed by events: parexec events --json > {name}", BAD_USAGE)
    fail(f"files are written by report now: parexec report -o {name}", BAD_USAGE)


COMMANDS: tuple[click.Command, ...] = (export,)
