"""Trained models for other programs, and from them."""
