"""The executor's I/O: its tables."""
