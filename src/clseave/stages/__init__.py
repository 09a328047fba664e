"""The verbs: one module per DVC stage, each with `main(argv)`; `src/run.py` calls them."""
