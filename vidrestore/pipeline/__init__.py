"""The stages of a restoration, the loading of its networks, and its report."""
