"""What the environment may say about the market, and how it is refused."""

import pytest

from libs.common.errors import ConfigurationError
from services.paper_exchange.settings import load_settings


def test_the_live_market_is_asked_for_data_only_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PAPER_EXCHANGE_MARKET", "binance")
    assert load_settings().binance_rest_url == "https://data-api.binance.vision"

    monkeypatch.setenv("PAPER_EXCHANGE_BINANCE_WS_URL", "ws://127.0.0.1:9")
    assert load_settings().binance_ws_url == "ws://127.0.0.1:9"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("SPEED", "2", "PAPER_EXCHANGE_SPEED: expected 1, because the market is live, found 2"),
        ("SPEED", "0", "expected 1, because the market is live, found 0"),
        ("SCENARIO_FILE", "a.json", "expected no scenario, because the market is binance, found a.json"),
        ("BINANCE_REST_URL", "127.0.0.1", "PAPER_EXCHANGE_BINANCE_REST_URL"),
        ("BINANCE_REST_URL", "https://a/b", "PAPER_EXCHANGE_BINANCE_REST_URL"),
        ("BINANCE_WS_URL", "https://a", "PAPER_EXCHANGE_BINANCE_WS_URL"),
        ("BINANCE_SILENCE_S", "0", "PAPER_EXCHANGE_BINANCE_SILENCE_S"),
        ("BINANCE_SILENCE_S", "nan", "PAPER_EXCHANGE_BINANCE_SILENCE_S"),
    ],
)
def test_what_a_live_market_cannot_be_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
):
    monkeypatch.setenv("PAPER_EXCHANGE_MARKET", "binance")
    monkeypatch.setenv(f"PAPER_EXCHANGE_{name}", value)

    with pytest.raises(ConfigurationError, match=complaint):
        load_settings()
