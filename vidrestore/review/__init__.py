"""A page that shows a restoration: faces before and after, charts over time, every track."""

from vidrestore.review.page import write_review

__all__ = ["write_review"]
