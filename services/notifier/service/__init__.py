"""The notifier's handlers and loops; `__main__` wires them."""
