"""Dialogs: questions, forms, lists and texts over the screen."""
