"""Export of trained models to other programs, and import from them."""
