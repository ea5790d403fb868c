"""What tests share: a ledger in a moment, and a command line without a process of its own."""
