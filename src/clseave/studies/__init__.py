"""Stages of the studies in `studies/`, one module each, and `summarise`, which serves all of them."""
