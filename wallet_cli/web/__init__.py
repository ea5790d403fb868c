"""The HTTP server: the same operations and the same queue as the command line, for other programs."""
