"""How an engine is started, kept alive, taken over and given up."""
