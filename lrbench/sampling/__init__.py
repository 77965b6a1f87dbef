"""Rollouts, scores, selectors and targets: from problems to the samples a model is trained on."""
