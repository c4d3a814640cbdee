"""What keys and the palette do: one table of actions, and the functions that carry them out."""
