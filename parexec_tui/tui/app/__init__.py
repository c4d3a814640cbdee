"""The app: it connects the session, the panels and the keys."""
