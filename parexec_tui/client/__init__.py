"""The viewer's end: the socket, the copy of the state, and which session is meant."""
