"""What can be known before a long run: settings that fit, models, memory, disk, remotes."""
