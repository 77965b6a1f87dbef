"""The public data sets of the seven benchmarks: found, fetched, converted and verified."""
