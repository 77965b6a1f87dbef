"""Studies: a declared table of the paper, made from the ledger alone and set beside what was reported."""
