"""Measures of generated words: topology, style, Inception features."""
