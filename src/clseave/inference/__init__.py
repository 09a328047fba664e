"""Using trained models: where they lie, predictions from Python and for rows of a file, bundles for other machines."""
