"""parexec-tui: execute a plan of dependent tickets with a pool of agents in parallel."""

__version__ = "0.1.0"
