"""Clips with turned heads: an approximate test of a reader's robustness to pose."""
