"""Reference faces bent to where lips are to be: what the renderer starts from."""
