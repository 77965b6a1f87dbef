"""The embedded world: seven problem families, a tokenizer and a tiny pair that need no network.

Ask `lrbench.embedded.assets` for what ships; `python -m lrbench.embedded.build` makes it from nothing.
"""
