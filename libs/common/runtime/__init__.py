"""What every process does the same way: it is run by `run_service`, which lends its service a `Runtime`."""

from libs.common.runtime.running import Serve, run_service
from libs.common.runtime.surroundings import Runtime

__all__ = ["Runtime", "Serve", "run_service"]
