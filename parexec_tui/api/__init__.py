"""Plans and sessions for programs in Python: `from parexec_tui import Plan`. Its stable names are in docs/api.md."""
