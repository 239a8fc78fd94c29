"""Warps reference faces to target lip contours: the renderer's starting point."""
