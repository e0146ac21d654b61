"""The commands of `trader`, one module a subject."""
