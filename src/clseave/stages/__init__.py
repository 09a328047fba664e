"""The verbs: one module per DVC stage, each with `main(argv)`; `clseave.foundation.process.entry` calls them."""
