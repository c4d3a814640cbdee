"""Coding CLIs as agents: what a minder does, one small process for each attempt, and what it needs for that.

Standard library only, and imported without the rest of parexec: a minder starts in some ten milliseconds and holds
a few megabytes. `minder` does the I/O; all else is pure: `streams` (what a CLI prints → facts), `story` (facts → the
log of the attempt), `start` (brief → arguments and environment), `prompts` (what an attempt is told).
"""
