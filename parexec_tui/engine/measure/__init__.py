"""The resource monitor: what the machine has, and what is used of it."""
