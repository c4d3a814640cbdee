"""What each CLI prints, read: a line in, facts out, and at its end a verdict. Pure; odd input raises nothing."""
