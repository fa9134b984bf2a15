"""A page to look a restoration over: faces before and after, curves over time, every track."""

from vidrestore.review.page import write_review

__all__ = ["write_review"]
