"""What a run holds: the machine, each model, the pair, and the engines; each loaded when first needed."""
