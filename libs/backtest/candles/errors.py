"""What is wrong with a file of candles."""

from libs.common.errors import TraderError


class CandlesError(TraderError):
    """Candles that cannot be used.

    Args:
        where: The file, with row and column where they are known.
        expected: What would have been accepted.
        found: What was there instead.
    """

    def __init__(self, *, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found
