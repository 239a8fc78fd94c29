"""What moves parameters, and averages of them."""
