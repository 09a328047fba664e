"""The training loop and its parts: objective, batches, optimiser, acceleration, used embedding rows."""
