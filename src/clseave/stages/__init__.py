"""The verbs: one module per DVC stage, each with `main(argv)`; `clseave.entry` calls them."""
