"""The terminal's face: each command parses, calls an operation, and returns what to render; nothing else."""
