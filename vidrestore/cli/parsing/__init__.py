"""Parse a command line and a project file into settings."""
