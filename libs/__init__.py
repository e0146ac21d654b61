"""The libraries: what the services share."""
