"""The HTTP face: the same services and the same queue as the command line, for other programs."""
