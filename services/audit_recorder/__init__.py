"""Audit recorder: reads every topic, writes nothing to Kafka, owns the audit log and the read models."""
