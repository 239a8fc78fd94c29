"""Procedural speakers: words spoken by drawn mouths, data without a download."""
