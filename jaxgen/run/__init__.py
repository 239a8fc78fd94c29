"""A run in its folder: training, resuming, evaluating, and what must match."""
