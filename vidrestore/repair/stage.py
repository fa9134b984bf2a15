"""Stage: repair whole frames before their faces are restored."""

from collections.abc import Iterable, Iterator, Sequence

from vidrestore.repair import dust, flicker, scratches
from vidrestore.settings import RepairName
from vidrestore.types import TrackedFrame


def repair_context_frames(kinds: Sequence[RepairName]) -> int:
    """Return the number of frames to each side that a repaired frame depends on."""
    radius = {
        "flicker": flicker.RADIUS_FRAMES,
        "scratches": scratches.RADIUS_FRAMES,
        "dust": dust.RADIUS_FRAMES,
    }
    return sum(radius[kind] for kind in set(kinds))


def repair_frames(
    frames: Iterable[TrackedFrame], kinds: Sequence[RepairName]
) -> Iterator[TrackedFrame]:
    """Yield every frame repaired, in order; ``Frame.repair`` says what was changed.

    Flicker comes first, so that neighbors can be compared; dust comes last, so that no scratch is
    taken for dust. Nothing crosses a shot change. Buffers ``repair_context_frames`` later frames.
    """
    if "flicker" in kinds:
        frames = flicker.remove_flicker(frames)
    if "scratches" in kinds:
        frames = scratches.remove_scratches(frames)
    if "dust" in kinds:
        frames = dust.remove_dust(frames)
    return iter(frames)
