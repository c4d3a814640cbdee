"""Keys: what they are called, and which action each belongs to."""
