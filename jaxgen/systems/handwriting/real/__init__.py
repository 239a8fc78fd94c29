"""Real words and lines: tables with images, pages with polygons, and preprocessing for the canvas."""
