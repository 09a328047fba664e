"""The generated data of profile mini: scenes, statements, languages, gold translations."""
