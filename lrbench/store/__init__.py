"""The artifact store: finished stages as immutable, verified directories, unfinished ones as drafts."""
