"""What is kept: the ledger."""
