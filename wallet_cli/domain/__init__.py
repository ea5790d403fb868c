"""What a wallet is and what can happen to it: pure, with no clock, no files and no SQL."""
