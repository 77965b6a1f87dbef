"""One archive with everything behind a table, and its verification without models and without a network."""
