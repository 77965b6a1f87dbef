"""Handing out what a run made: an arm's kept steps, its adapter, or the model merged with it."""
