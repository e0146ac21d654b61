"""How events travel: clients with deadlines, readers, groups, owners and their outbox."""
