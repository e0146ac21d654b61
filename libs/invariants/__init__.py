"""Whether what the system believes is what the exchange knows: the invariants, checked from outside.

Nothing here trusts a service: the exchange's journal is the truth, the services' tables are the claim, and every
difference is a violation. The checks are pure functions over plain rows; the loaders are thin.
"""

from libs.invariants.checker import Report, check_invariants
from libs.invariants.checks import CHECKS, assess
from libs.invariants.database import load_books
from libs.invariants.findings import Violation
from libs.invariants.journal import JournalReader
from libs.invariants.records import Books, Look, Truth

__all__ = [
    "CHECKS",
    "Books",
    "JournalReader",
    "Look",
    "Report",
    "Truth",
    "Violation",
    "assess",
    "check_invariants",
    "load_books",
]
