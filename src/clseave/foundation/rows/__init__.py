"""The rows that stages exchange: labels, examples, translations, alignments, vectors by id."""
