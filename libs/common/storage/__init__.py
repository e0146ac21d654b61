"""Postgres and Redis behind deadlines."""
