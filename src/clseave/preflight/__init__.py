"""Checks before a long run: settings, models, memory, disk, remotes."""
