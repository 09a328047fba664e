"""Translation behind one protocol: the gold grammar, Google, a local model, or files of the user."""
