"""The plan: what a person wrote, checked and typed."""
