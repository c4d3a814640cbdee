"""What is remembered: sessions, their events, and the facts of each attempt, in SQLite."""
