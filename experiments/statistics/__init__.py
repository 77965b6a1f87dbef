"""The statistics held to simulated worlds whose truth is known."""
