"""Settings of the safeguard, and its thresholds with the measurements behind them.

The 13 clips are television, film, speeches and phone footage. The images are 40 faces, clean or
degraded as in GFP-GAN's training, which is harsher than any of the clips. ``lite`` restored them.

==============  ====================================  =========================================
check           to be let through                     to be caught
==============  ====================================  =========================================
score           least of 13 clips 0.99                half hidden behind a head 0.68
yaw             clips up to 29 degrees, 1 in 24       profiles; beyond 55 degrees nothing could
                frames of one 50; at 45 to 55         be measured
                degrees faces gain as frontal ones
face            clips 0.32 to 0.79, images 0.35 up    half hidden 0.08, left half covered 0.27
worse eye       clips 0.28 up, images 0.32 up, one 0  half hidden -0.5, eye covered -0.4 to 0.1
resolution      old and small 60 to 130, GRID 160;    a speech of 450 lines 231; clean modern
                what ``lite`` gains ends near 190     clips 282, 390 and more; images 401 and up
noise           clean images 0.4 to 2.9               noise of sigma 6: 4.0 to 5.6
block edges     clean images up to 0.02               JPEG quality 75: 0.25, 45: 0.52, 15: 1.25
identity        clips up to 0.08; images 0.06,        another face blended in by half 0.46, 90 %
                95 % up to 0.21                       from 0.30; in full 0.63, from 0.48
eyes            clips up to 0.05; images 0.10,        eyes of another face 1.04, 90 % from 0.74;
                95 % up to 0.41                       of a frame with them open 0.6 to 0.9
mouth           clips up to 0.05; images 0.09,        mouth of another face 1.17, 90 % from 0.61
                95 % up to 0.27
==============  ====================================  =========================================

The safeguard lowers the strength of 4 of the 40 degraded images that ``lite`` restored. It lowers 9
if the true faces take the place of the restored ones, because some sources show next to nothing.
"""

from dataclasses import dataclass

from vidrestore.settings import RestoreSettings, check_options, same_option


@dataclass(frozen=True, slots=True)
class Ramp:
    """A smooth step from 0 at ``zero_at`` to 1 at ``one_at``; either may be the larger."""

    zero_at: float
    one_at: float

    def __call__(self, value: float) -> float:
        """Return the step at ``value``."""
        ratio = (value - self.zero_at) / (self.one_at - self.zero_at)
        ratio = min(1.0, max(0.0, ratio))
        return ratio * ratio * (3.0 - 2.0 * ratio)


SCORE = Ramp(0.70, 0.92)
"""Score of the detector, which is lower if the mirrored crop gives other landmarks."""
YAW_DEGREES = Ramp(63.0, 53.0)
FACE_CORRELATION = Ramp(0.18, 0.30)
"""Correlation of the face with the mean face."""
EYE_CORRELATION = Ramp(-0.05, 0.20)
"""The same for the eye that correlates less."""
RESOLUTION_PX = Ramp(240.0, 190.0)
"""Effective resolution of a face; ``zero_at`` is good."""
NOISE = Ramp(3.0, 5.0)
"""Standard deviation of noise, of 255: such a face may be sharp, but is not good."""
BLOCKS = Ramp(0.25, 0.55)
"""Excess of the steps at block edges: such a face may be sharp, but is not good."""
IDENTITY = Ramp(0.50, 0.30)
"""Distance to the source at the source's resolution; 0.6 separates people in sharp images."""
EYE_MOUTH_CHANGE = Ramp(0.70, 0.40)
"""Change of an eye or the mouth relative to its own contrast, at the source's resolution."""
SURELY_SAME_FACE = 0.1
"""Change of the face relative to its contrast below which it is surely the same person: clips give
0.02 to 0.08. Of 624 blends of the faces of two clips in equal light, those below have a distance up
to 0.16, and those of a distance of 0.3 or more a change of 0.12 or more."""

OCCLUSION_CHECK_INTERVAL, IDENTITY_CHECK_INTERVAL = 4, 5
"""Frames between checks; the first frame of a track is always checked. Eyes and mouth are compared
in every frame."""
SURE_IDENTITY_INTERVAL = 8
"""Frames between checks of identity where the face is surely the same. Any frame has one among the
seven before it, within the radii below, which gives its similarity."""
MIN_FILTER_RADIUS = 4
"""Frames to each side over which the minimum is taken: any five frames contain every check."""
MEAN_FILTER_RADIUS = 3
"""Frames to each side over which strength is averaged: it changes by at most 1/7 per frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeguardConfig:
    """How strongly faces are protected from a harmful restoration."""

    strength: float = same_option(RestoreSettings, "safeguard")
    """0 turns the safeguard off; 1 applies it in full."""
    keep_good: float = same_option(RestoreSettings, "keep_good")
    """How strongly faces that are already good are left unchanged."""

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def context_frames(self) -> int:
        """Frames to each side that an assessment may depend on, in each of two stages."""
        if self.strength == 0.0:
            return 0
        # One more: the previous frame shows whether a track is new.
        return MIN_FILTER_RADIUS + MEAN_FILTER_RADIUS + 1
