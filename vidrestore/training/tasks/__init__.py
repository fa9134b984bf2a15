"""Training tasks: each builds its networks and defines one step."""
