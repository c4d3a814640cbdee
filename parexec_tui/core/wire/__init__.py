"""What engine and viewers say to each other, and how it is written."""
