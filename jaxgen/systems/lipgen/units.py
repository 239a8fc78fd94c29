"""Constants that all of lipgen shares. Imports nothing."""

RATE = 25  # frames per second of all clips
WINDOW = 29  # frames of the window in which a word is read, the length of LRW's clips
MOUTH = 96  # side in pixels of a mouth crop as `jaxgen mouths` makes it
