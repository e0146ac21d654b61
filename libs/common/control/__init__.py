"""Who may stop and start trading, and how: signed commands, the halt latch and the permit to send entries."""
