"""Lip-reading networks: a front-end, temporal back-ends, and a viseme branch."""
