"""Opens a film for training: every frame of one instant, whatever fields the film is made of."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vidrestore.media.fields.deinterlace import DeinterlacedSource
from vidrestore.media.fields.detection import detect_fields
from vidrestore.media.fields.field_rule import decide_field_rule
from vidrestore.media.fields.pulldown import InverseTelecineSource
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.source import Source, open_source
from vidrestore.media.input.video_info import FieldOrder

_ORDERS: Sequence[FieldOrder] = ("top first", "bottom first")


@contextmanager
def open_whole_frames(path: Path) -> Generator[Source]:
    """Open a film whose frames show one instant each.

    Of two fields a frame is made by bwdif, as ``--deinterlace frame`` does; pulldown is undone
    first, as by ``--pulldown``. Flags of frames decide, and what is seen where there are none.

    Args:
        path: A film, a folder of frames or an image.

    Raises:
        MediaError: It cannot be read.
    """
    with open_source(path) as source:
        yield _whole_frames(source) if source.info.kind == "film" else source


def _whole_frames(source: Source) -> Source:
    stated, seen = source.info.field_order, detect_fields(source.info, until_clear=True)
    rule = decide_field_rule(seen, stated, requested=stated in _ORDERS)
    if seen.pulldown:
        top_first = stated != "bottom first" if rule.top_first is None else rule.top_first
        rule = FieldRule(top_first=top_first)
        return DeinterlacedSource(InverseTelecineSource(source, rule), rule, twice=False)
    if seen.flagged or rule.every_frame:
        return DeinterlacedSource(source, rule, twice=False)
    return source
