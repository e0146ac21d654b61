"""The budgets of the design, measured: each figure beside its baseline of the same run."""
