"""Reading JSON that strangers wrote.

Invariant: whatever the text is, the answer is a value that can be written again, or a `ValueError`.
"""

import json
from typing import Any, NoReturn


def read_json(text: str) -> Any:
    """Return what a text says.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds what cannot be encoded (a lone surrogate, NaN).
    """
    text.encode()
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply at line 1 column 1") from error
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # an escape may stand for half a character
    return value


def is_request_id(value: Any) -> bool:
    """Return whether a value may identify a request: a 64-bit integer, a string, or null."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"expected value, found {constant}")
