"""Layouts and drawings as characters: pure functions without a screen; colours are numbers."""
