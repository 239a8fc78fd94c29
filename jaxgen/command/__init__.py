"""Command lines: flags, messages, exit statuses; no logic of a run."""
