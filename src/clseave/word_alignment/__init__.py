"""Word alignment: segmentation, awesome-align, aligned tokens."""
