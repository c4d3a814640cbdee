"""The commands of `parexec`, all of them imported, for tests that go through them."""

import click

from parexec_tui.cli.entry import cli


def every_command() -> dict[str, click.Command]:
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}
