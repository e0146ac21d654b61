"""The AsyncAPI document of all topics and events, generated from the tables (`make docs`)."""

from typing import Any, Final

from libs.common.contracts.topics import EVENT_TYPES, FOREVER, TOPICS, Topic

HEADERS: Final[dict[str, str]] = {
    "event_id": "uuid5 of the type and its natural key or cause: a repetition has the same id",
    "event_type": "name of the payload's schema",
    "schema_version": "version of the schema; fields are only ever added within one",
    "recorded_at": "when it was written down, ISO 8601, UTC",
    "causation_id": "the event that this one answers; absent for facts from outside",
    "correlation_id": "the first event of the chain",
    "traceparent": "W3C trace context",
    "origin_at": "when the market data that started the chain was received",
}


def asyncapi_document(version: str) -> dict[str, Any]:
    """Return the document (AsyncAPI 3.0) as plain JSON types."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Crypto Trader Pro",
            "version": version,
            "description": "Every Kafka topic and event. Generated from libs/common/contracts.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name.value: _channel(topic) for topic in TOPICS},
        "components": {
            "messages": {name: _message(name) for name in sorted(EVENT_TYPES)},
            "schemas": {
                "Headers": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "description": text} for name, text in sorted(HEADERS.items())
                    },
                    "required": ["event_id", "event_type", "recorded_at", "schema_version"],
                }
            },
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    retention = "forever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // 1_000} s"
    return {
        "address": topic.name.value,
        "description": topic.description,
        "messages": {
            event_type.__name__: {"$ref": f"#/components/messages/{event_type.__name__}"}
            for event_type in topic.event_types
        },
        "bindings": {
            "kafka": {
                "topic": topic.name.value,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": topic.retention_ms,
                    "retention.bytes": topic.retention_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
        "x-key": topic.key,
        "x-retention": retention,
    }


def _message(name: str) -> dict[str, Any]:
    event_type = EVENT_TYPES[name]
    return {
        "name": name,
        "summary": (event_type.__doc__ or "").strip().partition("\n")[0],
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": event_type.model_json_schema(mode="serialization"),
        "x-schema-version": event_type.schema_version,
        "x-natural-key": (event_type.natural_key.__doc__ or "").strip(),
    }
