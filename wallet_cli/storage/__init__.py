"""Where the ledger lives: the only SQL of the program."""
