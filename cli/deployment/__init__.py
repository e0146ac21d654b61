"""The deployment with docker compose: its secrets, the users of its stores, and where its parts are."""
