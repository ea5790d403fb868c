"""Use cases of people and programs. Text and ids in, answers out; the command line and the server call only this."""
