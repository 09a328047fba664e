"""What every stage stands on: errors, files, settings, processes, row types."""
