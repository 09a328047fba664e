"""Measured values beside the values of the thesis: read, joined, explained."""
