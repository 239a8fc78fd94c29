"""Mouth crops without a face around them, labelled with the mesh that their whole face would have."""
