"""Listens to topics as services do, in a container of a deployment, and prints the longest silence on each, as JSON."""

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

CLOCK = SystemClock()


async def longest_silence_s(kafka: Kafka, topic: TopicName, began: asyncio.Event) -> float:
    """Return the longest time between two batches of a topic, from its first one to the end of standard input."""

    async def to_the_end(consumer: AIOKafkaConsumer) -> None:
        for partition, offset in (await kafka.end_offsets(consumer)).items():
            consumer.seek(partition, read.setdefault(partition, offset))

    read: dict[object, int] = {}
    longest_s, last_s = 0.0, None
    poller = PartitionPoller(kafka, topics=[topic], seek=to_the_end, clock=CLOCK)
    try:
        async with aclosing(poller.batches()) as batches:
            async for records in batches:
                now_s = CLOCK.monotonic_s()
                if records:
                    longest_s = max(longest_s, now_s - last_s) if last_s is not None else longest_s
                    last_s = now_s
                    began.set()
                for record in records:
                    read[kafka.partitions([topic])[record.partition]] = record.offset + 1
    except asyncio.CancelledError:
        silent_s = 0.0 if last_s is None else CLOCK.monotonic_s() - last_s
        return max(longest_s, silent_s)
    return longest_s


async def main() -> None:
    """Say when every topic has begun, and the silences when standard input ends."""
    settings = load_settings(ServiceSettings)
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        client_id="gaps",
        topic_prefix=settings.topic_prefix,
        login=settings.kafka_login("gaps"),
    )
    began = {TopicName(name): asyncio.Event() for name in sys.argv[1:]}
    listening = {topic: asyncio.create_task(longest_silence_s(kafka, topic, event)) for topic, event in began.items()}
    for event in began.values():
        await event.wait()
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for task in listening.values():
        task.cancel()
    silences_s = await asyncio.gather(*listening.values())
    sys.stdout.write(json.dumps(dict(zip(map(str, listening), silences_s, strict=True))))


if __name__ == "__main__":
    asyncio.run(main())
