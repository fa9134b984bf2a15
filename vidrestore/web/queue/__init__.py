"""A queue of films that are restored one at a time, by child processes; it survives a restart."""
