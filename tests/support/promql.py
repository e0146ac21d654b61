"""What a PromQL expression names, found without a parser: enough for expressions of our own."""

import re

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTORS = re.compile(r"\{[^{}]*\}")
_WINDOWS = re.compile(r"\[[^\[\]]*\]")
_GROUPINGS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_NAMES = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_WORDS = frozenset(
    {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "inf"}
)


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    text = _STRINGS.sub('""', expression)
    for pattern in (_SELECTORS, _WINDOWS, _GROUPINGS):
        text = pattern.sub(" ", text)
    found = set()
    for match in _NAMES.finditer(text):
        is_call = text[match.end() :].lstrip().startswith("(")
        is_duration = match.start() > 0 and text[match.start() - 1].isdigit()
        if not is_call and not is_duration and match.group().lower() not in _WORDS:
            found.add(match.group())
    return found
