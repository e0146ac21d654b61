"""Write the generated documents: `python -m libs.common.contracts` (`make docs`)."""

import json
from importlib.metadata import version
from pathlib import Path

from libs.common.configuration import configuration_schema
from libs.common.contracts.asyncapi import asyncapi_document

ROOT = Path(__file__).parents[3]


def main() -> None:
    """Write `docs/asyncapi.json` and `config/schema.json`."""
    documents = {
        ROOT / "docs" / "asyncapi.json": asyncapi_document(version("crypto-trader-pro")),
        ROOT / "config" / "schema.json": configuration_schema(),
    }
    for path, document in documents.items():
        path.write_text(json.dumps(document, indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")


main()
