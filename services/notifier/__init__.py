"""Notifier: reads alerts, delivers notifications to people, owns which were sent, failed or held back."""
