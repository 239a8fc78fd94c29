"""What is put together from images for a person to look at."""
