"""Studies: variants of a setting, what their runs leave, and the statistics of their differences."""
