"""The services: one process each, talking only through events."""
