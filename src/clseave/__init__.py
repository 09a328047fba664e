"""Cross-lingual visual entailment: English CLIP-VE, taught to other languages sentence by sentence."""
