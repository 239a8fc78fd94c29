"""Voices: speech that drives a mouth, with the times of its phonemes."""
