"""The engine's end of the socket, and the commands that it runs when something happened."""
