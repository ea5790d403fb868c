"""The endpoints: each parses, calls an operation, and returns the answer; nothing else.

Permissions are checked here, before any data of others is read: data of another user does not exist for a caller
(404), and operator actions are forbidden for users (403).
"""
