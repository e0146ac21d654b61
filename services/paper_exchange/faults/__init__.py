"""What a test may ask the exchange to do wrong, and to accounts and symbols, through a port and a key of its own."""
