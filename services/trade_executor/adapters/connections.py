"""The connections of each account to the exchange; all share one clock and one budget."""

from collections.abc import Sequence
from functools import partial
from random import Random

from libs.common.errors import ConfigurationError
from libs.common.runtime import Runtime
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import load_credentials
from libs.exchange.instruments import exchange_symbol
from libs.exchange.limits import AddressBudget
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.server_clock import ServerClock
from libs.exchange.user_stream.client import UserStream
from services.trade_executor.settings import Settings


def connect(
    runtime: Runtime[Settings], account: str, server_clock: ServerClock, budget: AddressBudget, randomness: Random
) -> tuple[CcxtOrderGateway, UserStream]:
    """Return an account's gateway and user stream; neither has connected yet."""
    settings, symbols = runtime.settings, runtime.configuration.symbols
    address = ExchangeAddress.of(settings.exchange_rest_url, settings.exchange_ws_url)
    credentials = load_credentials(settings.exchange_keys_file, account)
    gateway = CcxtOrderGateway(
        credentials=credentials,
        address=address,
        symbols=symbols,
        clock=runtime.clock,
        server_clock=server_clock,
        budget=budget,
    )
    stream = UserStream(
        url=address.websocket_api,
        credentials=credentials,
        symbols={exchange_symbol(symbol): symbol for symbol in symbols},
        clock=runtime.clock,
        clock_offset_ms=partial(_offset_ms, gateway),
        randomness=randomness,
        budget=budget,
    )
    return gateway, stream


def refuse_shared_keys(settings: Settings, accounts: Sequence[str]) -> None:
    """Refuse two accounts with one key: each would take the other's orders and balances for its own.

    Raises:
        ConfigurationError: There is such a pair.
    """
    owners: dict[str, str] = {}
    for account in accounts:
        key = load_credentials(settings.exchange_keys_file, account).api_key
        if owners.setdefault(key, account) != account:
            raise ConfigurationError(
                where=str(settings.exchange_keys_file),
                expected=f"keys of different accounts for {owners[key]} and {account}",
                found="the same key twice",
            )


def _offset_ms(gateway: CcxtOrderGateway) -> int:
    return gateway.clock_offset_ms or 0
