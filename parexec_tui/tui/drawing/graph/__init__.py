"""The dependency graph as characters: lanes for all tickets, boxes and edges for those around one."""
