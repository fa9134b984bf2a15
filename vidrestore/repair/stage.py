"""Stage: whole frames are repaired, before their faces are restored."""

from collections.abc import Iterable, Iterator, Sequence

from vidrestore.repair.dust import REACH_FRAMES, DustConfig, remove_dust
from vidrestore.repair.flicker import FlickerConfig, remove_flicker
from vidrestore.repair.scratches import ScratchConfig, remove_scratches
from vidrestore.settings import RepairName
from vidrestore.types import TrackedFrame


def repair_reach_frames(kinds: Sequence[RepairName]) -> int:
    """Return how many frames to each side a repaired frame depends on."""
    reach = {
        "flicker": FlickerConfig().reach_frames,
        "scratches": ScratchConfig().reach_frames,
        "dust": REACH_FRAMES,
    }
    return sum(reach[kind] for kind in set(kinds))


def repair_frames(
    frames: Iterable[TrackedFrame], kinds: Sequence[RepairName]
) -> Iterator[TrackedFrame]:
    """Yield every frame repaired, in order; ``Frame.repair`` says what was changed.

    Brightness comes first, so that neighbors can be compared, and dust last, so that a scratch is
    not taken for it. Nothing crosses a shot change. Holds ``repair_reach_frames`` later frames.
    """
    if "flicker" in kinds:
        frames = remove_flicker(frames, config=FlickerConfig())
    if "scratches" in kinds:
        frames = remove_scratches(frames, config=ScratchConfig())
    if "dust" in kinds:
        frames = remove_dust(frames, config=DustConfig())
    return iter(frames)
