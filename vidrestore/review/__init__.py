"""A page that shows a restoration: faces before and after, charts over time, every track."""

from vidrestore.review.page import viewer_parts, write_review

__all__ = ["viewer_parts", "write_review"]
