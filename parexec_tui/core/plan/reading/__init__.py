"""From the text of a plan file to a plan, or to every mistake in it with its place."""
