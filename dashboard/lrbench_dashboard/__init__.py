"""The dashboard: reads the ledger and the store of a runs folder, shows them, and writes nothing."""
