"""Prints every record of the topics that it is told, with headers, in a container that has the broker's own user."""

import sys
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition

ANSWER_S_MAX = 30.0


def main() -> None:
    """Read each topic from its beginning to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": "kafka:9092",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "admin",
            "sasl.password": Path("/run/secrets/kafka-admin").read_text(encoding="utf-8"),
            "group.id": "whole-topics",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    metadata = consumer.list_topics(timeout=ANSWER_S_MAX)
    places = [TopicPartition(name, each, 0) for name in sys.argv[1:] for each in metadata.topics[name].partitions]
    consumer.assign(places)
    unfinished = len(places)
    while unfinished:
        message = consumer.poll(ANSWER_S_MAX)
        if message is None:
            sys.exit("expected records or their end, found silence")
        error = message.error()
        if error is None:
            sys.stdout.write(f"{message.topic()} {message.headers()!r} {message.value()!r}\n")
        elif error.code() == KafkaError._PARTITION_EOF:
            unfinished -= 1
            consumer.incremental_unassign([TopicPartition(str(message.topic()), message.partition() or 0)])
        else:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
