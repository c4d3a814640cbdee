"""How a command is found by what a person types: its name, a short form, or as much of it as is unambiguous."""

import click

SHORT = {
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
    "sk": "skip",
    "pr": "priority",
    "sc": "scale",
    "e": "edit",
    "rl": "reload",
    "u": "undo",
}
"""Short forms of what is typed often; no other command is meant by them, whatever it begins with."""


class Commands(click.Group):
    """A group whose commands may be shortened: `parexec stat`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (exact := super().get_command(ctx, cmd_name)) is not None:
            return exact
        if (meant := super().get_command(ctx, SHORT.get(cmd_name, ""))) is not None:
            return meant
        candidates = [name for name in self.list_commands(ctx) if name.startswith(cmd_name)]
        if len(candidates) > 1 and cmd_name and not ctx.resilient_parsing:
            ctx.fail(f"{cmd_name!r} may be {' or '.join(candidates)}")
        return super().get_command(ctx, candidates[0]) if candidates and cmd_name else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but under its whole name: that is what usage and errors shall say."""
        _, command, rest = super().resolve_command(ctx, args)
        return (command.name if command is not None else None), command, rest
