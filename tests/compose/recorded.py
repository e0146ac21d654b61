"""Prints every event of the topics that it is told, a JSON object a line, in a container of a deployment."""

import asyncio
import json
import sys
from contextlib import aclosing

from aiokafka import AIOKafkaConsumer

from libs.common.clock import SystemClock
from libs.common.contracts.topics import TopicName
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.polling import PartitionPoller
from libs.common.settings import ServiceSettings, load_settings


async def main(topics: list[TopicName]) -> None:
    """Read each topic from its beginning to its end."""
    settings = load_settings(ServiceSettings)
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        client_id="recorded",
        topic_prefix=settings.topic_prefix,
        login=settings.kafka_login("recorded"),
    )

    async def to_the_beginning(consumer: AIOKafkaConsumer) -> None:
        for partition, offset in (await consumer.beginning_offsets(list(consumer.assignment()))).items():
            consumer.seek(partition, offset)

    poller = PartitionPoller(kafka, topics=topics, seek=to_the_beginning, clock=SystemClock())
    async with aclosing(poller.batches()) as batches:
        async for records in batches:
            for record in records:
                envelope = record.decoded()
                line = {
                    "event_id": str(envelope.event_id),
                    "type": type(envelope.event).__name__,
                    "event": envelope.event.model_dump(mode="json"),
                }
                sys.stdout.write(json.dumps(line) + "\n")
            if poller.caught_up:
                return


if __name__ == "__main__":
    asyncio.run(main([TopicName(name) for name in sys.argv[1:]]))
