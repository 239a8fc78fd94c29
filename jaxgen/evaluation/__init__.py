"""Measures that several systems report."""
