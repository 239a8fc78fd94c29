"""Layers that several systems use, as Flax Linen modules and pure functions."""
