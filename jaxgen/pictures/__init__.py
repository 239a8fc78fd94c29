"""Pictures composed of images, for people to look at."""
