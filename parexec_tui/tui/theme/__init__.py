"""Colours by meaning, and the files they come from."""
