"""What follows: from a request, from a report, from an end."""
