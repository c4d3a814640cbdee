"""How things look as characters: layouts and drawings as pure functions, without a screen, colours by number."""
