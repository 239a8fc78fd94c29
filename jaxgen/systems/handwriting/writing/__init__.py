"""Inference with a trained writer: words, lines, sheets, outlines and sets of pictures."""
