"""A film restored in segments that outlive whatever stops the run."""
