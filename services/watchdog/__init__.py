"""Watchdog: polls the health of the others, writes the halt file and cancels entries when they fall silent."""
