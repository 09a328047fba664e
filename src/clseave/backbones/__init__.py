"""CLIP and BERT trained from scratch on the generated corpus."""
