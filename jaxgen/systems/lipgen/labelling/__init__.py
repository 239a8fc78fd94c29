"""Labels mouth crops without a surrounding face with the mesh of their whole face."""
