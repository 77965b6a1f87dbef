"""The mirror of the ledger in MLflow, which can be deleted and made again."""
