"""Clips of mouths labelled with the words spoken in them: sets, their sources, and augmentation."""
