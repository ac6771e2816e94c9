"""A session directory: its file, its ledger and its stages."""
