"""Finds the command that a person types: by its name, a short form, or an unambiguous beginning of the name."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from parexec_tui.cli.examples import epilog

SHORT_NAMES = {
    "a": "attach",
    "st": "status",
    "w": "why",
    "h": "hold",
    "rel": "release",
    "f": "freeze",
    "t": "thaw",
    "rt": "retry",
    "ra": "reassign",
    "c": "cancel",
    "wv": "waive",
    "skip": "waive",
    "sk": "waive",
    "pr": "priority",
    "sc": "scale",
    "e": "edit",
    "rl": "reload",
    "u": "undo",
}
"""Short forms of commands that are typed often, and names that commands had before. Each wins over the beginning of
another name."""


class Commands(click.Group):
    """A group whose commands may be shortened (`parexec stat`). A command is imported when it is needed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules: dict[str, str] = {}
        """command: its module, for commands that are not imported yet."""

    def add_lazy(self, module: str, names: Sequence[str]) -> None:
        """Add the COMMANDS of a module, whose names these are; import it when one of them is needed."""
        self._modules |= dict.fromkeys(names, module)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """As click does it; the help of the command ends with its examples."""
        super().add_command(cmd, name)
        cmd.epilog = epilog(name or cmd.name or "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, as click does, then the topics of `help`."""
        from parexec_tui.cli.topics import title, topics

        super().format_commands(ctx, formatter)
        with formatter.section("Topics (parexec help TOPIC)"):
            formatter.write_dl([(topic, title(topic)) for topic in topics()])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (exact := self._command(cmd_name)) is not None:
            return exact
        if (meant := self._command(SHORT_NAMES.get(cmd_name, ""))) is not None:
            return meant
        candidates = [name for name in self.list_commands(ctx) if name.startswith(cmd_name)]
        if len(candidates) > 1 and cmd_name and not ctx.resilient_parsing:
            ctx.fail(f"{cmd_name!r} may be {' or '.join(candidates)}")
        return self._command(candidates[0]) if candidates and cmd_name else None

    def _command(self, name: str) -> click.Command | None:
        if name in self._modules:
            module = self._modules[name]
            self._modules = {other: where for other, where in self._modules.items() if where != module}
            for command in import_module(module).COMMANDS:
                self.add_command(command)
        return self.commands.get(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but under the whole name, which usage and errors then show."""
        _, command, rest = super().resolve_command(ctx, args)
        return (command.name if command is not None else None), command, rest
