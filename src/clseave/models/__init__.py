"""The models: CLIP-VE, the CLSEAVE and CLTEAVE students, their tokens, pooling, heads and files."""
