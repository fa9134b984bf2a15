"""Stage: repair whole frames before their faces are restored."""

from collections.abc import Iterable, Iterator, Sequence

from vidrestore.repair.dust import RADIUS_FRAMES, DustConfig, remove_dust
from vidrestore.repair.flicker import FlickerConfig, remove_flicker
from vidrestore.repair.scratches import ScratchConfig, remove_scratches
from vidrestore.settings import RepairName
from vidrestore.types import TrackedFrame


def repair_context_frames(kinds: Sequence[RepairName]) -> int:
    """Return the number of frames to each side that a repaired frame depends on."""
    radius = {
        "flicker": FlickerConfig().radius_frames,
        "scratches": ScratchConfig().radius_frames,
        "dust": RADIUS_FRAMES,
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
        frames = remove_flicker(frames, config=FlickerConfig())
    if "scratches" in kinds:
        frames = remove_scratches(frames, config=ScratchConfig())
    if "dust" in kinds:
        frames = remove_dust(frames, config=DustConfig())
    return iter(frames)
