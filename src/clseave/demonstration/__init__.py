"""The page of `make demo`: a premise, its hypotheses in each language, and what the model says of them."""
