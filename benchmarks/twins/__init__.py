"""Plain PyTorch versions of the systems, written to be measured against."""
