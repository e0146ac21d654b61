"""Why halts must stay although somebody named them: what they cover, and what the books say of it.

Invariant: nothing is resumed whose books and exchange differ, and a command clears nothing outside of its own scope.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.telling import told


class ResumeRefusal(StrEnum):
    """Why a RESUME that is otherwise in order is refused."""

    HALT_IS_OUT_OF_SCOPE = "HALT_IS_OUT_OF_SCOPE"
    RECONCILIATION_DIFFERS = "RECONCILIATION_DIFFERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDifference:
    """A difference between our books and the exchange that nobody has settled.

    Attributes:
        difference_id: What `trader reconcile accept` takes.
        symbol: The market; None: the whole account.
    """

    difference_id: str
    symbol: str | None
    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Return it as people are told."""
        where = f"{self.symbol} " if self.symbol is not None else ""
        return f"{self.difference_id} ({where}{self.subject}: expected {self.expected}, found {self.found})"


def resume_refusal(
    halts: Collection[HaltRecord],
    differences: Sequence[OpenDifference],
    *,
    symbol: str | None,
    strategy: str | None,
) -> tuple[ResumeRefusal, str] | None:
    """Return why these halts must stay, or None.

    Args:
        halts: Those that the command names.
        differences: All open ones of the account.
        symbol: What the command is narrowed to; None: nothing. `strategy` likewise.
        strategy: See `symbol`.
    """
    outside = [
        halt.halt_id
        for halt in halts
        if (symbol is not None and halt.scope_symbol != symbol)
        or (strategy is not None and halt.scope_strategy != strategy)
    ]
    if outside:
        return ResumeRefusal.HALT_IS_OUT_OF_SCOPE, told(outside)
    symbols = {halt.scope_symbol for halt in halts}
    open_ones = [each for each in differences if None in symbols or each.symbol is None or each.symbol in symbols]
    if open_ones:
        listed = told(open_ones, separator="; ")
        return ResumeRefusal.RECONCILIATION_DIFFERS, f"settle them first (trader reconcile): {listed}"
    return None
