"""Processes behind a pipe: a child process, the runner, starts them, and speaks the contract on stdin and stdout.

The runner may be on another host: nothing is shared but the pipe. Processes outlive the runner, and the next runner
adopts them.
"""
