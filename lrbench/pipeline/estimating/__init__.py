"""What a recipe will cost before it runs: tokens, time and memory, without loading weights.

`shapes` reads what a model is like from its config and headers, `devices` knows what machines can do,
`costs` turns both into seconds and bytes, `stages` applies them to a plan, and `history` keeps what was
predicted and what came, by which later predictions are corrected.
"""
