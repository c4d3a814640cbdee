"""The main screen: where each panel is, the header, the footer and the prompt, and when each of them is drawn."""
