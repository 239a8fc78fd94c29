"""A run in its folder: training, resuming, evaluating, and the checks of what must match."""
