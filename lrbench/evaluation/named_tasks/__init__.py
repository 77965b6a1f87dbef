"""Tasks of lm-eval that a recipe names: finding and loading them, their items, and measuring on them."""
