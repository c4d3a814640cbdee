"""The output of an attempt, as its log file has it: any size, any bytes, nothing of it trusted."""
