"""What was found: the ledger, its MLflow mirror, the leaderboard's tables."""
