"""Tests that share one stack, which stops when the last of them is over."""
