"""Tables, figures, sentences and the notebook of the report."""
