"""What panels and dialogs are made of: widgets that draw lines, rows with a cursor, and panels."""
