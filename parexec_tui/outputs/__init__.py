"""What processes wrote, for whoever shows it: the screen, commands, reports and hooks."""
