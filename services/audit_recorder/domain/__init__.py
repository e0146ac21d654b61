"""What the audit recorder decides by itself: how messages become links of chains and rows of read models."""
