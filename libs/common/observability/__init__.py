"""What the system shows of itself: metrics, structured logs, health."""
