"""The output of an attempt, from its log file: of any size, with any bytes, none of them trusted."""
