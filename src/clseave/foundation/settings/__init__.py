"""The values of params.yaml and profiles: their types, their checks, the messages about them."""
