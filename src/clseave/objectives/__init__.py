"""Training objectives: one class per module, with `batches(epoch)`, `loss(batch)` and `validate()`."""
