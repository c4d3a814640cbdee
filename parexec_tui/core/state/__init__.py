"""The state of a session: a fold of its events."""
