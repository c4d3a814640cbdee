"""The command line. `entry.py` has the group of commands; the module of a command is imported when it is needed."""

from parexec_tui.cli.entry import main

__all__ = ["main"]
