"""What the services say to each other: events, topics and their form on the wire."""
