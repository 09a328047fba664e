"""Commands that are no stages of the pipeline: one module each, with `main(argv)`."""
