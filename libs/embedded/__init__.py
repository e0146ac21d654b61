"""The embedded stack: Kafka, Postgres and Valkey without Docker, and the supervisor of every process.

It knows how to run programs, not what they do: services and set-up jobs are named by the caller.
"""
