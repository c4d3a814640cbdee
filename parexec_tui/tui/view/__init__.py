"""What panels draw from: the session as it is shown. No widgets."""
