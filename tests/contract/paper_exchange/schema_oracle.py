"""What an answer has too much or lacks, by the models that Binance generates from its own specification."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from binance_sdk_spot.rest_api import models as rest_models
from pydantic import BaseModel

_NOT_SENT = "additional_properties"
_UNION = "actual_instance"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an answer that its model does not have, or the other way round."""

    model: str
    field: str
    is_too_many: bool


def differences(model: type[BaseModel], body: Any) -> Iterator[Difference]:
    """Yield where a body and its model differ, all the way down; a model of one item stands for a list of them."""
    if isinstance(body, list):
        for item in body:
            yield from differences(model, item)
        return
    if _UNION in model.model_fields:
        if not isinstance(body, dict) or "filterType" not in body:
            return
        model = _filter_model(body["filterType"])
    assert isinstance(body, dict), f"{model.__name__} expects an object, found {body!r}"
    fields = {field.alias or name: field for name, field in model.model_fields.items() if name != _NOT_SENT}
    yield from (Difference(model.__name__, name, is_too_many=True) for name in body.keys() - fields.keys())
    yield from (Difference(model.__name__, name, is_too_many=False) for name in fields.keys() - body.keys())
    for name in fields.keys() & body.keys():
        inner = _model_within(fields[name].annotation)
        if inner is not None and body[name] is not None:
            yield from differences(inner, body[name])


def check_types(model: type[BaseModel], body: Any) -> None:
    """Let the model read a body, which fails where a value has another type than Binance's."""
    for item in body if isinstance(body, list) else [body]:
        model.from_dict(item)  # type: ignore[attr-defined]


def _filter_model(name: str) -> type[BaseModel]:
    words = "".join(word.capitalize() for word in name.split("_"))
    model: type[BaseModel] = getattr(rest_models, f"{words}Filter".replace("FilterFilter", "Filter"))
    return model


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_within(each)) is not None), None)
