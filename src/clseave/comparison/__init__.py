"""What a run measured, beside the thesis: collected, paired with published values, explained."""
