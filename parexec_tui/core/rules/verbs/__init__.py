"""One file for each verb: it answers a request with events or a refusal, and changes nothing."""
