"""Past candles that cannot be read now are read later; a record that nobody understands is passed over."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from services.signal_generator.adapters import KafkaCandleHistory, _decoded
from tests.support.raw_records import AT, a_raw_record


class BrokenKafka:
    """A cluster whose connection is lost."""

    async def consumer(self) -> None:
        raise KafkaConnectionError


async def test_a_lost_connection_is_retryable():
    kafka: Any = BrokenKafka()

    with pytest.raises(RetryableError, match="past candles"):
        await KafkaCandleHistory(kafka).before("BTC/USDT", 60, AT, 100)


def test_a_record_that_cannot_be_read_is_no_candle():
    assert list(_decoded([a_raw_record(topic=TopicName.MARKET_CANDLES, value=b"?")])) == []
