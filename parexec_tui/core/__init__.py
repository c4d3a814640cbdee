"""The rules. Pure: no files, no clock, no processes, no screen."""
