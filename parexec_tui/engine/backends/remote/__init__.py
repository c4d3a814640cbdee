"""Processes on other hosts: a node program there, which an engine reaches through a channel."""
