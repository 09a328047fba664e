"""Model cards, and the licence that a model's origin allows."""
