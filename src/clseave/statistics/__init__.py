"""Statistics of predictions: metrics, intervals, calibration, paired tests, slices."""
