"""Storage of the ledger: the only SQL of the program."""
