"""What happens: the trio side that turns decisions into processes and processes into reports."""
