"""Programs that models have written: run in a sandbox, or not at all."""
