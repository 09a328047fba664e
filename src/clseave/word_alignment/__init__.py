"""Word alignment: word segmentation, awesome-align, aligned tokens."""
