"""What the process shows of itself, as Prometheus would read it."""

from libs.common.observability import metrics


def shown(name: str, **labels: str) -> float | None:
    """Return a sample of the registry; None: there is none with these labels."""
    return metrics.REGISTRY.get_sample_value(name, labels)
