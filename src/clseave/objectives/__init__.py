"""What each training minimises: one class a module, with `batches(epoch)`, `loss(batch)` and `validate()`."""
