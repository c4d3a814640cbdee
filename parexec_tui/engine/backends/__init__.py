"""Where processes run: `backend.py` is the contract, each folder an implementation of it."""
