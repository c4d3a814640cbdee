"""Facts as words: event lines, reports, the status page, output without a screen."""
