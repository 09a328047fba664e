"""multilingual-e5-small, real weights from a Python package: the reader of its file, and a checkpoint made of it."""
