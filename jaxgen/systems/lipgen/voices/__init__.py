"""Voices: speech as what moves a mouth, with its phonemes in time."""
