"""Tables of results, statistics and the thesis, as Markdown and LaTeX."""
