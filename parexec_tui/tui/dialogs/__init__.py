"""What is asked before something is done, and what is told at length: a file each."""
