"""How long after a halt is issued the last entry is sent."""
