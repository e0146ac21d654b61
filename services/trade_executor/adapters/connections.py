"""The connections of each account to the exchange; all share one clock and one budget."""

from functools import partial
from random import Random

from libs.common.runtime import Runtime
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import load_credentials
from libs.exchange.identities import refuse_shared_keys
from libs.exchange.instruments import exchange_symbol
from libs.exchange.limits import AddressBudget
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.server_clock import ServerClock
from libs.exchange.user_stream.client import UserStream
from services.trade_executor.settings import Settings


def connect_all(
    runtime: Runtime[Settings], server_clock: ServerClock, budget: AddressBudget, randomness: Random
) -> tuple[dict[str, CcxtOrderGateway], dict[str, UserStream]]:
    """Return every account's gateway and user stream; none has connected yet.

    Raises:
        ConfigurationError: An account has no usable key, or two have the same.
    """
    file, accounts = runtime.settings.exchange_keys_file, runtime.configuration.exchange.accounts
    refuse_shared_keys({name: load_credentials(file, name).api_key for name in accounts}, where=str(file))
    connections = {name: connect(runtime, name, server_clock, budget, randomness) for name in accounts}
    return (
        {name: gateway for name, (gateway, _) in connections.items()},
        {name: stream for name, (_, stream) in connections.items()},
    )


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


def _offset_ms(gateway: CcxtOrderGateway) -> int:
    return gateway.clock_offset_ms or 0
