"""Clips with turned heads: an approximate test of how a reader bears poses."""
