"""A local web page with a tab for each system: the public functions, in a browser."""
