"""The queue: writers take turns, and each turn is one batch, decided, written and committed once."""
