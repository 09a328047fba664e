"""Reading and writing files: atomic writes, size limits, and the same bytes for the same content."""
