"""The three stores: how each is prepared, started, known to work, and stopped."""
