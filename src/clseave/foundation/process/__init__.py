"""A stage as a process: numeric pins, arguments, interrupts, shards, checkpoints, several ranks."""
