"""Writes every generated file of the monitoring: `python -m deploy.monitoring`."""

from deploy.monitoring.files import generated

if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
