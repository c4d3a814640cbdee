"""The main screen: where panels stand, the lines around them, and when each is drawn."""
