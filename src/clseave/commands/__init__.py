"""Commands outside the pipeline: one module each, with `main(argv)`."""
