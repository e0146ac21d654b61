"""What every section of the configuration is made of.

Numbers are decimals, so that 0.1 stays 0.1, and of a size that a person would write; nothing is changed after it was
validated.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
)

DECIMALS_MAX: Final = 12
"""Digits after the point: enough for any rate, and no tiny number that passes for more than zero."""

Percentage = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False, decimal_places=DECIMALS_MAX)]
Fraction = Annotated[Decimal, Field(gt=0, le=1, allow_inf_nan=False, decimal_places=DECIMALS_MAX)]
Multiple = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False, decimal_places=DECIMALS_MAX)]

_NUMBER: Final = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_WITH_EXPONENT: Final = re.compile(_NUMBER.pattern + r"[eE][+-]?\d{1,2}")


class Section(BaseModel):
    """A part of the configuration: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _booleans_are_no_numbers(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse what pydantic would convert: true for 1, and 0 or "no" for false, which would mean real money."""
        expects = cls.model_fields[field.field_name or ""].annotation
        if isinstance(value, bool) != (expects is bool):
            message = "true or false" if expects is bool else "anything but a boolean"
            raise ValueError(message)
        return value


class PartOfSection(Section):
    """A section of which only what was said counts: what is null, or an object without a value, was not said."""

    @model_serializer(mode="wrap")
    def _said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None and value != {}}


def part_of(name: str, meaning: str, **sections: type[Section]) -> type[PartOfSection]:
    """Return a section of sections, none of which must be given."""
    fields: dict[str, Any] = {key: (section | None, None) for key, section in sections.items()}
    return create_model(name, __base__=PartOfSection, __doc__=meaning, **fields)


def keys_of(section: type[Section], *keys: str) -> type[PartOfSection]:
    """Return a section that has keys of another, as they are there, none of which must be given.

    Args:
        section: The other section.
        keys: Which of its keys; none: all.
    """
    fields: dict[str, Any] = {}
    for key in keys or section.model_fields:
        field = section.model_fields[key]
        said = Annotated[(field.annotation, Field(), *field.metadata)]  # type: ignore[name-defined] # it is read
        fields[key] = (said | None, Field(default=None, description=field.description))
    return create_model(f"Own{section.__name__}", __base__=PartOfSection, __doc__=section.__doc__, **fields)


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values, none of which may stand there twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        message = f"must be distinct, found twice: {', '.join(twice)}"
        raise ValueError(message)
    return values


def written_number(value: Any) -> Any:
    """Return text that is a number as that number: decimals travel as text.

    Raises:
        ValueError: It is a boolean, which would pass for 1 or 0, or a number that its text could not be read back from.
    """
    if isinstance(value, bool):
        message = "anything but a boolean"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a validation error
    if isinstance(value, str) and (_NUMBER.fullmatch(value) or _WITH_EXPONENT.fullmatch(value)):
        value = Decimal(value)
    if isinstance(value, Decimal) and not _NUMBER.fullmatch(plain(value)):
        message = "a number of at most 20 digits on either side of the point"
        raise ValueError(message)
    return value


def plain(value: Any) -> Any:
    """Return a decimal as text without an exponent, as `written_number` reads it."""
    return f"{value:f}" if isinstance(value, Decimal) else value
