"""What the notifier decides by itself: which alert goes where, how often, and in which words."""
