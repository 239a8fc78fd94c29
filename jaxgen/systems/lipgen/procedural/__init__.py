"""Speakers that are computed: words spoken by drawn mouths, data without a download."""
