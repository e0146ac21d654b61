"""ccxt asks the configured exchange and nobody else."""

import pytest
from ccxt.pro.binance import binance

from libs.common.errors import ConfigurationError
from libs.exchange.addresses import ExchangeAddress, ccxt_options, require_address


def test_an_exchange_of_one_port_is_routed_by_path() -> None:
    address = ExchangeAddress.of("http://127.0.0.1:18080", "ws://127.0.0.1:18080")

    assert address.rest == "http://127.0.0.1:18080"
    assert address.streams == "ws://127.0.0.1:18080/stream/ws"
    assert address.websocket_api == "ws://127.0.0.1:18080/ws-api/v3"


def test_binance_has_a_host_for_each_service() -> None:
    address = ExchangeAddress.of("https://api.binance.com", "wss://stream.binance.com:9443")

    assert address.streams == "wss://stream.binance.com:9443/ws"
    assert address.websocket_api == "wss://ws-api.binance.com/ws-api/v3"


@pytest.mark.parametrize(
    ("rest", "websocket"),
    [("ftp://host", "ws://host"), ("http://host", "http://host"), ("127.0.0.1:80", "ws://host"), ("http://", "ws://h")],
)
def test_an_address_that_is_none_is_a_configuration_error(rest: str, websocket: str) -> None:
    with pytest.raises(ConfigurationError):
        ExchangeAddress.of(rest, websocket)


@pytest.mark.parametrize(
    ("rest", "websocket"),
    [("http://127.0.0.1:18080", "ws://127.0.0.1:18080"), ("https://api.binance.com", "wss://stream.binance.com")],
)
def test_every_address_that_ccxt_knows_is_the_configured_one(rest: str, websocket: str) -> None:
    address = ExchangeAddress.of(rest, websocket)

    require_address(binance(ccxt_options(address)).urls["api"], address)


def test_an_address_that_was_not_overridden_fails_closed() -> None:
    address = ExchangeAddress.of("http://127.0.0.1:18080", "ws://127.0.0.1:18080")

    with pytest.raises(ConfigurationError, match="newApi"):
        require_address({"public": address.rest, "nested": {"newApi": "https://api.binance.com/new"}}, address)
