"""The app: what ties facts, panels and keys together."""
