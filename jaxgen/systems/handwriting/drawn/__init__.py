"""Words drawn in handwriting faces by many hands: data without a download."""
