"""The DVC stages: one module per stage, with `main(argv)`, which `clseave.foundation.process.entry` calls."""
