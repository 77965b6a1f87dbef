"""Result files of other harnesses: what each system got right, item by item, in one form for all of them."""
