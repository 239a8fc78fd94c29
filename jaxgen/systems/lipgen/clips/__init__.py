"""Clips of mouths with the words spoken in them: sets, their sources, and what training does to them."""
