"""Numbers that all of lipgen goes by. Imports nothing."""

RATE = 25  # frames a second of all clips
WINDOW = 29  # frames in which a word is read: LRW's clips are as long
MOUTH = 96  # pixels, the side of a mouth crop as `jaxgen mouths` makes it
