"""Evaluation metrics shared by several systems."""
