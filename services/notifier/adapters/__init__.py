"""The notifier's tables, its channels, and its door for other monitors."""
