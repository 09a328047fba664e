"""The generated data of profile mini: scenes, statements, six grammars, gold translations."""
