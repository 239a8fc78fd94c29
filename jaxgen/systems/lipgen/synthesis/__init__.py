"""Speech in, talking mouths out: motion, warp and renderer together, and their results as files."""
