"""Decides which frames of a film are made of two fields."""

from vidrestore.media.fields.detection import FieldDetection
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.video_info import FieldOrder


def decide_field_rule(seen: FieldDetection, stated: FieldOrder, *, requested: bool) -> FieldRule:
    """Return which frames are made of two fields.

    Flags of frames decide. Without flags, the pictures decide; if they are unclear, the request
    does. The field order is taken from the pictures if it is clear.

    Args:
        seen: What a sample of the film showed.
        stated: What the container or the codec says.
        requested: Whether unclear frames count as fields.
    """
    is_clear = seen.order in ("top first", "bottom first")
    unsaid = not seen.flagged
    every = unsaid and (is_clear or (requested and seen.order != "progressive"))
    top_first = seen.order == "top first" if is_clear else None
    if every and top_first is None:
        top_first = stated != "bottom first"
    return FieldRule(every_frame=every, top_first=top_first)
