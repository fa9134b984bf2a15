"""Settings of the safeguard, with the thresholds and what they were measured on.

Clips are thirteen: television, film, speeches, phone footage. Stills are 40 faces, clean, or
degraded as GFP-GAN was trained, which is harsher than any of the clips. ``lite`` restored them.

==============  ====================================  =========================================
reading         what is to be let through             what is to be caught
==============  ====================================  =========================================
score           least of 13 clips 0.99                half hidden behind a head 0.68
yaw             clips up to 29 degrees, 1 in 24       heads turned to a side
                frames of one 50
likeness        clips 0.32 to 0.79, stills 0.35 up    half hidden 0.08, left half covered 0.27
eye likeness    clips 0.28 up, stills 0.32 up, one 0  half hidden -0.5, eye covered -0.4 to 0.1
detail          old and small 60 to 130, GRID 160,    clean modern clips 282, 390 and more;
                a speech of 450 lines 231             clean stills 401 and more
noise           clean stills 0.4 to 2.9               noise of sigma 6: 4.0 to 5.6
block edges     clean stills up to 0.02               JPEG quality 75: 0.25, 45: 0.52, 15: 1.25
identity        clips up to 0.08; stills 0.06,        another face blended in by half 0.46, 90 %
                95 % up to 0.23                       from 0.30; in full 0.65, from 0.49
eyes            clips up to 0.05; stills 0.10,        eyes of another face 0.87, 90 % from 0.58;
                95 % up to 0.34                       of a frame with them open 0.6 to 0.9
mouth           clips up to 0.05; stills 0.09,        mouth of another face 1.06, 90 % from 0.67
                95 % up to 0.35
==============  ====================================  =========================================

Of the degraded stills 3 in 40 are lowered as ``lite`` restored them, and 9 where the true face
is given in place of a restored one: where next to nothing is to be seen, even the truth is a guess.
"""

from dataclasses import dataclass

from vidrestore.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Ramp:
    """A share that goes from 0 at ``zero_at`` to 1 at ``one_at``, whichever is larger."""

    zero_at: float
    one_at: float

    def __call__(self, value: float) -> float:
        """Return the share at ``value``, rising smoothly."""
        share = (value - self.zero_at) / (self.one_at - self.zero_at)
        share = min(1.0, max(0.0, share))
        return share * share * (3.0 - 2.0 * share)


SCORE = Ramp(0.70, 0.92)
"""Of the detector, which lowers it where points differ in the mirror."""
YAW_DEGREES = Ramp(60.0, 45.0)
LIKENESS = Ramp(0.18, 0.30)
"""Correlation of the face with the mean face."""
EYE_LIKENESS = Ramp(-0.05, 0.20)
"""The same of the eye that is less like one."""
DETAIL_PX = Ramp(280.0, 240.0)
"""Side of the crop that would still show all it shows: from the second on a face is good."""
NOISE = Ramp(3.0, 5.0)
"""Standard deviation, of 255: sharp, but not good."""
BLOCKS = Ramp(0.25, 0.55)
"""Excess of steps at the edges of blocks: sharp, but not good."""
IDENTITY = Ramp(0.50, 0.30)
"""Distance to the source at the source's resolution; 0.6 parts people where faces are sharp."""
OPENING = Ramp(0.70, 0.40)
"""Change of an eye or the mouth next to its own contrast, at the source's resolution."""

PICTURE_EVERY_FRAMES, PERSON_EVERY_FRAMES = 4, 5
"""Whether a picture shows a face, and which person, is asked in frames whose number this divides,
and where a face comes in; eyes and mouth are compared in every frame."""
LEAST_REACH_FRAMES = 4
"""How far a low reading lowers its neighbours: any five frames hold a look of each kind."""
MEAN_REACH_FRAMES = 3
"""How far the result is averaged to each side: it changes by 1/7 a frame at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeguardConfig:
    """How far faces are protected from being restored to their harm."""

    strength: float = 1.0
    """0 asks for nothing, 1 leaves alone what must be."""
    keep_good: float = 1.0
    """How far faces that are already good are left alone."""

    def __post_init__(self) -> None:
        for name in ("strength", "keep_good"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                option = "safeguard" if name == "strength" else "keep-good"
                raise ConfigError(f"--{option} must be between 0 and 1, got {value}")

    @property
    def reach_frames(self) -> int:
        """How many frames to each side a verdict may depend on, in each of two stages."""
        if self.strength == 0.0:
            return 0
        # One more: whether a face comes in shows in the frame before.
        return LEAST_REACH_FRAMES + MEAN_REACH_FRAMES + 1
