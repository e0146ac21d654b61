"""Every act, in the order in which they are performed: what halts for good comes last."""

from collections.abc import Mapping
from typing import Final

from tests.alerts import acts_exchange, acts_machine, acts_processes, acts_stores
from tests.alerts.provocation import Act, Provocation

ACTS: Final[tuple[Act, ...]] = (
    acts_exchange.BEGINNING,
    acts_processes.STUTTER,
    acts_exchange.TROUBLES,
    acts_exchange.PROTECTION,
    acts_processes.HALT,
    acts_processes.LOSS,
    acts_exchange.STREAM,
    acts_exchange.CLOCK,
    acts_exchange.FROZEN,
    acts_processes.PERMIT,
    acts_processes.DOWN,
    acts_processes.RESTARTS,
    acts_processes.ANOTHER,
    acts_exchange.UNKNOWN,
    acts_exchange.REFUSALS,
    acts_stores.HANDLING,
    acts_stores.LOCKS,
    acts_machine.MACHINE,
    acts_stores.STORES,
    acts_stores.KAFKA,
    acts_stores.BROKERS,
    acts_exchange.DIFFERENCES,
)
PROVOCATIONS: Final[Mapping[str, Provocation]] = {
    alert: provocation for act in ACTS for alert, provocation in act.provokes.items()
}
