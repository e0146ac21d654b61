"""How much to buy."""

from libs.trading.sizing.choice import Basis, Sizing, SizingMethod
from libs.trading.sizing.quantities import (
    NoSizeReason,
    Size,
    fixed_fraction,
    position_quantity,
    risk_per_trade,
    volatility_target,
)

__all__ = [
    "Basis",
    "NoSizeReason",
    "Size",
    "Sizing",
    "SizingMethod",
    "fixed_fraction",
    "position_quantity",
    "risk_per_trade",
    "volatility_target",
]
