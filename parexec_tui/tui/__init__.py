"""What is seen and asked (textual)."""
