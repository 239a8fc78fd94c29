"""What generated words are compared by: their topology, their style, the features of Inception."""
