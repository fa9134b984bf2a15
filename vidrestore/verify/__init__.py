"""Proof that a result keeps what a restoration promises."""

from vidrestore.verify.checks import Check, Verification
from vidrestore.verify.verification import verify

__all__ = ["Check", "Verification", "verify"]
