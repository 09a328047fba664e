"""The training loop and what it needs: batches, optimiser, acceleration, used embedding rows."""
