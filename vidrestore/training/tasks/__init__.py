"""What is trained: each task holds its networks and says how one step goes."""
