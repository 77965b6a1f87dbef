"""What an arm is made of: sources, selectors, targets, objectives, changes and answers, as data."""
