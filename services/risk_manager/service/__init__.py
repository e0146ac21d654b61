"""The handlers: signals are judged, exposure and equity followed, the trading state governed."""
