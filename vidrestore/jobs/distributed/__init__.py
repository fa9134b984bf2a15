"""Workers that Ray starts."""
