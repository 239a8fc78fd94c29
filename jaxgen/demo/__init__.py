"""A local page with a tab for each system: what the functions for people do, for a person with a browser."""
