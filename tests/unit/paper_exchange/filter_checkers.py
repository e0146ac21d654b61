"""The two that judge an order, side by side: our pre-check by exchangeInfo, and the paper exchange by its own rules.

What each is given is what it has in service: the pre-check instruments read from exchangeInfo, the exchange the
parameters of a request.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from libs.exchange.instruments import parse_listings
from libs.trading.instruments import Beside, FilterViolation, Instrument
from libs.trading.market import OrderType, Side
from services.paper_exchange.api.new_lists import LIST_KINDS, read_list
from services.paper_exchange.api.new_orders import read_new_order
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import LISTED, UNIT
from tests.unit.paper_exchange.filter_tables import AskedOrder
from tests.unit.paper_exchange.paper_exchange_builders import VenueBench, a_recording

SYMBOL = "BTCUSDT"
HELD = Decimal(500)
RICH = 100_000_000_000 * UNIT
FILTER_FAILURE = "Filter failure: "

_LIST_KINDS = {kind.name.upper(): kind for kind in LIST_KINDS}


class PreCheck:
    """Our side: what `libs.trading.instruments` makes of exchangeInfo."""

    def __init__(self, exchange_info: Mapping[str, object]) -> None:
        listing = parse_listings({"symbols": [exchange_info]}, ["BTC/USDT"])["BTC/USDT"]
        self.instrument: Instrument = listing.instrument

    def refused(self, order: AskedOrder, beside: Beside, reference_price: Decimal) -> set[str]:
        """Return the filters that an order would fail; none: it may be sent."""
        quantity = Decimal(order.quantity)
        legs = _legs(order)
        found: list[FilterViolation] = []
        for order_type, side, price, stop_price in legs:
            found += self.instrument.violations(
                order_type, side, quantity, price, reference_price, stop_price=stop_price
            )
        found += self.instrument.crowding([order_type for order_type, *_ in legs], Side(order.side), quantity, beside)
        return {violation.filter.value for violation in found}


class Exchange:
    """The exchange's side: accounts that are rich, and whose orders stand where a test put them."""

    def __init__(
        self,
        directory: Path,
        limits: Mapping[str, int | None] | None = None,
        *,
        recording: Recording | None = None,
        accounts: Sequence[str] = ("main",),
        held: Decimal = HELD,
    ) -> None:
        self._bench = VenueBench(directory, recording or a_recording(lots=100_000_000), bytes_max=1 << 26)
        self.venue = self._bench.venue
        for account in accounts:
            self.venue.ledger.set(account, "USDT", free=RICH, locked=0)
            self.venue.ledger.set(account, "BTC", free=int(held) * UNIT, locked=0)
        self.wait_a_second()
        self.limit(limits or {})
        self._number = 0

    def wait_a_second(self) -> None:
        """Let the market go on."""
        self._bench.wait(1_000)

    def limit(self, limits: Mapping[str, int | None]) -> None:
        """Give the symbol the limits that are listed, with these changed."""
        listed = LISTED[SYMBOL]
        unchanged = {
            name: getattr(listed, name)
            for name in listed.__dataclass_fields__
            if name not in {"symbol", "base", "quote", "tick_units", "step_units"}
        }
        self.venue.listing.change(SYMBOL, status="TRADING", limits=unchanged | dict(limits))

    def info(self) -> Mapping[str, object]:
        """Return what exchangeInfo says of the symbol."""
        return self.venue.listing.rules(SYMBOL).describe("TRADING")

    @property
    def average_price(self) -> Decimal:
        """What `GET /api/v3/avgPrice` answers."""
        return Decimal(self.venue.average_price(SYMBOL)) / 100

    @property
    def last_price(self) -> Decimal:
        """What the last trade was made at."""
        return Decimal(self.venue.history.last_trade(SYMBOL).price) / 100

    def beside(self, account: str) -> Beside:
        """Return what an account knows that it has."""
        open_orders = self.venue.desk.open_orders(account, SYMBOL)
        balance = self.venue.ledger.balance(account, "BTC")
        step = Decimal("0.00001")
        return Beside(
            held=Decimal(balance.free + balance.locked) / UNIT,
            buying=sum((order.lots * step for order in open_orders if order.side.value == "BUY"), Decimal(0)),
            orders=len(open_orders),
            triggered=sum(order.request.is_stop for order in open_orders),
            lists=sum(not order_list.done for order_list in self.venue.desk.lists(account)),
        )

    def refusal(self, order: AskedOrder, account: str = "main", *, place: bool = False) -> str | None:
        """Return what the exchange says against an order, a filter by its name alone; None: nothing."""
        self._number += 1
        try:
            self._ask(order, account, place=place)
        except ApiError as error:
            return error.message.removeprefix(FILTER_FAILURE)
        return None

    def _ask(self, order: AskedOrder, account: str, *, place: bool) -> None:
        rules = self.venue.listing.rules(SYMBOL)
        if order.target:
            new_list = read_list(Parameters(self._list_parameters(order)), rules, _LIST_KINDS[order.kind])
            if place:
                self.venue.place_list(account, new_list)
            else:
                self.venue._admission.admit_list(account, new_list)
            return
        new = read_new_order(Parameters(self._parameters(order)), rules)
        (self.venue.place if place else self.venue.check)(account, new)

    def _parameters(self, order: AskedOrder) -> dict[str, str]:
        optional = {"price": order.price, "stopPrice": order.stop_price}
        if order.price:
            optional["timeInForce"] = order.time_in_force
        return {
            "symbol": SYMBOL,
            "side": order.side,
            "type": order.kind,
            "quantity": order.quantity,
            "newClientOrderId": f"n{self._number}",
        } | {name: value for name, value in optional.items() if value}

    def _list_parameters(self, order: AskedOrder) -> dict[str, str]:
        waits = order.kind == "OTOCO"
        above, below = ("pendingAbove", "pendingBelow") if waits else ("above", "below")
        legs = {
            "symbol": SYMBOL,
            "listClientOrderId": f"l{self._number}",
            f"{above}Type": "LIMIT_MAKER",
            f"{above}Price": order.target,
            f"{above}ClientOrderId": f"a{self._number}",
            f"{below}Type": "STOP_LOSS",
            f"{below}StopPrice": order.stop_price,
            f"{below}ClientOrderId": f"b{self._number}",
        }
        if not waits:
            return legs | {"side": order.side, "quantity": order.quantity}
        return legs | {
            "workingType": "LIMIT",
            "workingSide": order.side,
            "workingPrice": order.price,
            "workingQuantity": order.quantity,
            "workingTimeInForce": order.time_in_force,
            "workingClientOrderId": f"w{self._number}",
            "pendingSide": "SELL",
            "pendingQuantity": order.quantity,
        }


_Leg = tuple[OrderType, Side, Decimal | None, Decimal | None]


def _legs(order: AskedOrder) -> list[_Leg]:
    """Return type, side, price and further trigger of an order, or of the orders of a list."""
    side = Side(order.side)
    price = Decimal(order.price) if order.price else None
    trigger = Decimal(order.stop_price) if order.stop_price else None
    if order.target:
        entry: list[_Leg] = [(OrderType.LIMIT, side, price, None)] if price is not None else []
        target = Decimal(order.target)
        return [
            *entry,
            (OrderType.LIMIT_MAKER, Side.SELL, target, None),
            (OrderType.STOP_LOSS, Side.SELL, trigger, None),
        ]
    if price is None:
        return [(OrderType(order.kind), side, trigger, None)]
    return [(OrderType(order.kind), side, price, trigger)]
