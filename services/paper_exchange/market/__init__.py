"""Where the paper exchange's prices come from: tapes of quotes and trades, laid onto exchange time."""
