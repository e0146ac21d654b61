"""Random orders of every kind that is sent, of which many lie just within or just beyond a limit."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from random import Random
from typing import Final, TypeVar

from libs.trading.instruments import Beside, Instrument
from tests.unit.paper_exchange.filter_tables import AskedOrder

Choice = TypeVar("Choice")

KINDS: Final = ("LIMIT",) * 4 + ("MARKET",) * 2 + ("STOP_LOSS", "STOP_LOSS_LIMIT", "OCO", "OTOCO", "OTOCO")
EXITS: Final = frozenset({"OCO", "OTOCO"})
TRIGGERED: Final = EXITS | {"STOP_LOSS", "STOP_LOSS_LIMIT"}
LIMITED: Final = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "OTOCO"})
AWAY: Final = Decimal("0.002")
"""How far triggers and targets stay from the market: where it will be when they arrive is no filter's question."""


class OrdersOfChance:
    """Draws orders from a seed.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)

    def order(
        self, instrument: Instrument, *, beside: Beside, reference_price: Decimal, last_price: Decimal
    ) -> AskedOrder:
        """Return an order on a market that stands at `last_price`, of an account that has `beside`."""
        kind = self.one_of(KINDS)
        side = "BUY" if kind == "OTOCO" else "SELL" if kind in TRIGGERED else self.one_of(("BUY", "SELL"))
        price, target, trigger = "", "", ""
        if kind in LIMITED:
            price = self._on_the_grid(self._price(instrument, reference_price), instrument.price_tick)
        if kind in EXITS:
            beyond = max(self._price(instrument, reference_price), last_price * (1 + AWAY))
            target = self._on_the_grid(beyond, instrument.price_tick)
        if kind in TRIGGERED:
            beneath = min(self._price(instrument, reference_price), last_price * (1 - AWAY))
            trigger = self._on_the_grid(beneath, instrument.price_tick)
        prices = [Decimal(each) for each in (price, target, trigger) if each] or [reference_price]
        quantity = self._quantity(instrument, self.one_of(prices), beside)
        return AskedOrder(
            kind,
            side,
            self._on_the_grid(quantity, instrument.quantity_step),
            price,
            trigger,
            self.one_of(("GTC", "IOC", "FOK")) if kind == "LIMIT" else self.one_of(("GTC", "FOK")),
            target,
        )

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Return one of these."""
        return choices[int(self._chance.random() * len(choices))]

    def _price(self, instrument: Instrument, reference_price: Decimal) -> Decimal:
        tick = instrument.price_tick
        multipliers = (
            instrument.bid_multiplier_up,
            instrument.bid_multiplier_down,
            instrument.ask_multiplier_up,
            instrument.ask_multiplier_down,
        )
        bounds = [instrument.price_max, instrument.price_min]
        bounds += [reference_price * multiplier for multiplier in multipliers if multiplier is not None]
        if self._chance.random() < 0.4:
            return max(tick, self.one_of(bounds) + self._nudge() * tick)
        if self._chance.random() < 0.7:
            return reference_price * Decimal(repr(round(self._chance.uniform(0.9, 1.1), 6)))
        return reference_price * Decimal(repr(round(self._chance.uniform(0.05, 25), 6)))

    def _quantity(self, instrument: Instrument, measure: Decimal, beside: Beside) -> Decimal:
        step = instrument.quantity_step
        bounds = [instrument.quantity_max, instrument.market_quantity_max, step, instrument.notional_min / measure]
        if instrument.notional_max is not None:
            bounds.append(instrument.notional_max / measure)
        if instrument.position_max is not None:
            bounds.append(max(step, instrument.position_max - beside.held - beside.buying))
        if self._chance.random() < 0.4:
            return max(Decimal(0), self.one_of(bounds) + self._nudge() * step)
        return Decimal(repr(round(10 ** self._chance.uniform(-4, 2), 8)))

    def _nudge(self) -> int:
        return self.one_of((-2, -1, 0, 1, 2))

    def _on_the_grid(self, value: Decimal, step: Decimal) -> str:
        """Return the value on its grid, but for one in thirty half a step beside it."""
        whole = (value / step).to_integral_value(ROUND_FLOOR) * step
        return f"{whole + step / 2 if self._chance.random() < 0.03 else whole:f}"
