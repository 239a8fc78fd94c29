"""Words drawn in handwriting typefaces by many hands: data without a download."""
