"""The generated world of profile mini: scenes, statements, six grammars, gold translations."""
