"""Translation behind one protocol: the grammar, Google, a local model, the user's files."""
