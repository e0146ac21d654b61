"""What the market monitor decides: `monitor` takes what arrives, `status` says when a market is told, `events` how."""
