"""A trained writer at a person's service: words, lines, sheets, outlines and sets of pictures."""
