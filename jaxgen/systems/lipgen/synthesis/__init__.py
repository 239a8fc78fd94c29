"""Synthesis of talking mouths from speech: motion, warp and renderer combined, and their results as files."""
