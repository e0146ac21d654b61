"""The published candles, read back from their topic."""

from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from libs.common.clock import epoch_ms
from libs.common.contracts.events import CandleClosed
from libs.common.contracts.topics import TOPIC_BY_NAME, TopicName
from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.messaging.records import RawRecord

READ_DEADLINE_S: Final = 30.0
RECORDS_PER_POLL_MAX: Final = 1_000
LOOKBACK_MARGIN_S: Final = 120
LOOKBACKS: Final = (1, 4, 16, 64)
"""How many windows of time are read back, one attempt after the other, until they hold a window of candles."""

_TOPIC: Final = TopicName.MARKET_CANDLES

AnswerT = TypeVar("AnswerT")


class KafkaCandleHistory:
    """Reads a symbol's part of the candles topic; nothing is committed and no group is joined."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    async def before(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
        """Return the last complete candles that opened before `open_at`, at most `count`, oldest first.

        Raises:
            RetryableError: They cannot be read now.
        """
        try:
            return await deadline(
                self._read(symbol, interval_s, open_at, count), READ_DEADLINE_S, "reading past candles"
            )
        except KafkaError as error:
            raise RetryableError(f"reading past candles: expected records, found {error!r}") from error

    async def _read(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
        consumer = await self._kafka.consumer()
        try:
            partition = TopicPartition(self._kafka.wire_topic(_TOPIC), _partition_of(symbol))
            consumer.assign([partition])
            begin = (await _asked(consumer.beginning_offsets([partition])))[partition]
            candles: list[CandleClosed] = []
            for windows in LOOKBACKS:
                lookback = timedelta(seconds=windows * count * interval_s + LOOKBACK_MARGIN_S)
                start = await _offset_at(consumer, partition, epoch_ms(open_at - lookback))
                records = await self._records(consumer, partition, start, symbol)
                candles = complete_before(_decoded(records), interval_s, open_at)
                if len(candles) >= count or start <= begin:
                    break
            return candles[-count:]
        finally:
            await self._kafka.stop(consumer)

    async def _records(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, symbol: str
    ) -> list[RawRecord]:
        """Return the symbol's records from `start` to what is now the end."""
        end = (await self._kafka.end_offsets(consumer))[partition]
        consumer.seek(partition, start)
        records: list[RawRecord] = []
        while await _asked(consumer.position(partition)) < end:
            polled = await _asked(consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX))
            read = (RawRecord.of(record, self._kafka) for record in polled.get(partition, ()))
            records += [record for record in read if record.key == symbol]
        return records


def complete_before(candles: Iterable[CandleClosed], interval_s: int, open_at: datetime) -> list[CandleClosed]:
    """Return the complete candles of the interval that opened earlier, oldest first, the first published of each."""
    first: dict[datetime, CandleClosed] = {}
    for candle in candles:
        if candle.interval_s == interval_s and not candle.partial and candle.open_at < open_at:
            first.setdefault(candle.open_at, candle)
    return [first[at] for at in sorted(first)]


def _decoded(records: Iterable[RawRecord]) -> Iterable[CandleClosed]:
    for record in records:
        try:
            event = record.decoded().event
        except InvalidMessageError:
            continue  # the group loop has put it among the dead letters
        if isinstance(event, CandleClosed):
            yield event


def _partition_of(symbol: str) -> int:
    """Return the partition that Kafka's own hash of the key gives: the one that the producer wrote to."""
    partitions = list(range(TOPIC_BY_NAME[_TOPIC].partitions))
    partition: int = DefaultPartitioner()(symbol.encode(), partitions, partitions)
    return partition


async def _offset_at(consumer: AIOKafkaConsumer, partition: TopicPartition, at_ms: int) -> int:
    """Return the first offset written at or after a time; the end where there is none."""
    found = (await _asked(consumer.offsets_for_times({partition: at_ms})))[partition]
    if found is not None:
        return int(found.offset)
    return int((await _asked(consumer.end_offsets([partition])))[partition])


async def _asked(answer: Awaitable[AnswerT]) -> AnswerT:
    return await deadline(answer, CALL_DEADLINE_S, "reading past candles")
