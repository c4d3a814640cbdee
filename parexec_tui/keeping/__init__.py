"""What is kept of sessions that are over, and for how long."""
