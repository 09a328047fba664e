"""Tables, figures, texts and the notebook of the report."""
