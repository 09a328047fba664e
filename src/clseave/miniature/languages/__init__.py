"""The languages of the miniature: a module for each, whose `LANGUAGE` the grammar reads."""
