"""What a user writes: the schema of a recipe, loading it, and the messages when it is wrong."""
