"""What became of sessions: facts of their journals, and the reports that are written from them."""
