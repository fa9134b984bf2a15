"""Files on disk: outputs that appear when they are complete, and temporary files."""
