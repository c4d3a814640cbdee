"""How a session will go on: the real rules under a virtual clock, and what follows from that."""
