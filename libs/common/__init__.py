"""The vocabulary and the plumbing: contracts, messaging, storage, observability, control."""
