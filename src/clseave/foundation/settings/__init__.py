"""The settings of params.yaml and of a profile: their schema, loading, cross-checks and error messages."""
