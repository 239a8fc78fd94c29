"""Losses that several systems use."""
