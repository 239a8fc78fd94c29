"""Real words and lines: tables with images, pages with polygons, and the canvas that they are put on."""
