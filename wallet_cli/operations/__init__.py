"""Use cases: what a person or a program asks of a ledger. Text and ids in, answers out; both faces call only this."""
