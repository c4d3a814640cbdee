"""What became of a session as a trace of OpenTelemetry: spans, which are sent to a collector."""
