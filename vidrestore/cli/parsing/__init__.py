"""From the words of a command line and of a project file to settings."""
