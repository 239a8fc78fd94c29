"""Parameter updates and weight averages."""
