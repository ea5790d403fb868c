"""The endpoints: each parses, calls a service, and says what to answer; nothing else.

Who may do what is decided here, before anything is read that is not the caller's: what belongs to another user is not
there at all (404), and what only an operator may do is forbidden (403).
"""
