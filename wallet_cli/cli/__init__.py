"""The terminal's face: each command parses, calls a service, and returns what to render; nothing else."""
