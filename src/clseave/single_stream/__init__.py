"""Cross-lingual cross-modal pre-training of one encoder over words and image regions (Fei, Yu and Li 2021)."""
