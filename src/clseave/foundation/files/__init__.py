"""Files and folders: written whole, read with limits, in one form for the same content."""
