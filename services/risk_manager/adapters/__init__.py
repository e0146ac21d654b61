"""Postgres, Redis, the market monitor's topics and the exchange's public REST API."""
