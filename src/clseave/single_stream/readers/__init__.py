"""Readers of full-size data: captions of images, texts, and regions from a detector."""
