"""The page itself: its fragments of HTML, and its components."""
