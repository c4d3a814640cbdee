"""What may start, what starts next, and when everything will be done."""
