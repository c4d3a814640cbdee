"""The command line: `entry.py` has the group of commands; what they stand in is imported when one is meant."""

from parexec_tui.cli.entry import main

__all__ = ["main"]
