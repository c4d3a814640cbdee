"""Git worktrees in which tickets work, and how their work gets into the branch of the session."""
