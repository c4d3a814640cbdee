"""The output of processes, for all who show it: the screen, commands, reports and hooks."""
