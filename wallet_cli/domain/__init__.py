"""What a wallet is and what may happen to it: pure, with no clock, no files and no SQL."""
