"""Mirrors of the ledger beside the one in MLflow, each behind one small interface."""
