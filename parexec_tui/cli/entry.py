"""The command `parexec`: the group of all commands. A command is imported when it is needed."""

import io
import os
import sys
from contextlib import suppress

import click

from parexec_tui import __version__
from parexec_tui.cli.commands import Commands
from parexec_tui.cli.exits import leave_without_output
from parexec_tui.gc_control import collect_seldom
from parexec_tui.text import streams


def main() -> None:
    """The entry point of the command `parexec`."""
    collect_seldom()
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # the locale may not know every letter of a name
    streams.guard()
    try:
        _execute()
    finally:
        _see_to_lost_sessions()


def _execute() -> None:
    """Execute the command, and exit with its code; with another one if its output cannot be written."""
    try:
        try:
            cli(prog_name="parexec")
        finally:
            sys.stdout.flush()
    except streams.OutputError as error:
        leave_without_output(error)


def _see_to_lost_sessions() -> None:
    """End what runs in sessions that were killed with all that watched over them, if their plans want that.

    After the command, which may itself have given such a session a new engine. It costs nothing if the command had
    to do with no session.
    """
    if "parexec_tui.paths" not in sys.modules:
        return
    from parexec_tui.paths import ends_with_engine

    with suppress(OSError):
        if sessions := os.listdir(ends_with_engine()):  # noqa: PTH208 - for each command
            from parexec_tui.engine.lifecycle.watcher import settle

            for session in settle(sessions):
                click.echo(f"parexec: {session} lost its engine: ending what runs, as its plan says", err=True)


def _open_what_is_closed() -> None:
    """Open /dev/null for each standard stream that was closed (`>&-`), standard output so that it cannot be written.

    Otherwise the next file that is opened would get its number, and what is printed would go there.
    """
    for name, mode, how in (("stdin", "r", os.O_RDWR), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_RDWR)):
        if getattr(sys, name) is None:
            lowest = os.open(os.devnull, how)  # of all that are closed: this one
            os.set_inheritable(lowest, True)
            setattr(sys, name, os.fdopen(lowest, mode, closefd=False))


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="parexec")
@click.pass_context
def cli(context: click.Context) -> None:
    """Execute a plan of dependent tickets with a pool of agents in parallel.

    Without a command, on a terminal: all sessions, and the one that you choose, on the screen.

    \b
    Exit codes of run and resume:
      0  every ticket succeeded
      1  some did not
      2  bad plan or usage; nothing was started
      3  stopped or drained by a person; resume goes on
    """
    if context.invoked_subcommand is not None:
        return
    if _can_show_sessions():
        attach = cli.get_command(context, "attach")
        assert attach is not None
        context.invoke(attach, from_list=True)
    click.echo(context.get_help(), err=True)
    context.exit(2)


def _can_show_sessions() -> bool:
    """Whether there is a session to show, and a terminal to show it on."""
    from parexec_tui.client.sessions import NoSuchSession, open_registry
    from parexec_tui.registry.errors import RegistryError
    from parexec_tui.tui.terminal.restore import can_show

    if not can_show(os.environ):
        return False
    try:
        with open_registry() as registry:
            return bool(registry.list_sessions()[0])
    except NoSuchSession:
        return False
    except RegistryError:
        return True  # the command says what is wrong with it


LAZY_COMMANDS = {
    "parexec_tui.cli.running": ("run", "resume", "attach"),
    "parexec_tui.cli.plans": ("validate", "doctor", "schema"),
    "parexec_tui.cli.beginning": ("init",),
    "parexec_tui.cli.each": ("each",),
    "parexec_tui.cli.standing_session": ("session",),
    "parexec_tui.cli.schedule": ("schedule",),
    "parexec_tui.cli.listing": ("ls",),
    "parexec_tui.cli.hosts": ("hosts",),
    "parexec_tui.cli.reading": ("show", "log", "events"),
    "parexec_tui.cli.exporting": ("export", "import"),
    "parexec_tui.cli.insight": ("bottlenecks", "claims"),
    "parexec_tui.cli.optimise": ("optimise",),
    "parexec_tui.cli.predict": ("simulate", "what-if"),
    "parexec_tui.cli.graphs": ("graph",),
    "parexec_tui.cli.diffing": ("diff",),
    "parexec_tui.cli.past": ("history", "report"),
    "parexec_tui.cli.metrics": ("metrics",),
    "parexec_tui.cli.keeping": ("prune",),
    "parexec_tui.cli.tracing": ("trace",),
    "parexec_tui.cli.touring": ("tour",),
    "parexec_tui.cli.standing": ("status", "why"),
    "parexec_tui.cli.reruns": ("retry", "rollback", "restart"),
    "parexec_tui.cli.steer": (
        "hold", "release", "freeze", "thaw", "drain", "reassign", "cancel", "waive", "answer", "approve", "merge",
        "reject", "priority", "stop", "scale", "on-failure", "undo",
    ),
    "parexec_tui.cli.amend": ("edit", "add", "reload"),
    "parexec_tui.cli.talking": ("talk",),
    "parexec_tui.cli.waiting": ("wait",),
    "parexec_tui.cli.manual": ("help", "man", "completion"),
}  # fmt: skip
"""The modules of the commands; a module is imported when one of its commands is needed."""

for _module, _names in LAZY_COMMANDS.items():
    cli.add_lazy(_module, _names)
