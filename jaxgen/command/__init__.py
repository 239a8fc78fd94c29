"""Command lines: flags, messages, exit statuses; no run logic."""
