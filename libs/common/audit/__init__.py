"""The tamper-evident log: how its records are linked, anchored, verified and read as a story."""
