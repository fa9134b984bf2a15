"""Super-resolution networks for whole frames."""
