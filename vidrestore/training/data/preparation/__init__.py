"""Makes data sets: aligned faces from photographs and films, generated faces, and shards."""
