"""Using trained models: where they lie, predictions from Python, and predictions for rows of a file."""
