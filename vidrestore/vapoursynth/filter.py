"""``restore``: a clip with the faces restored."""

from typing import Any

import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.pipeline.repair_checks import check_repair
from vidrestore.settings import RestoreSettings, settings_of
from vidrestore.vapoursynth.clip_restorer import ClipRestorer
from vidrestore.vapoursynth.clip_source import ClipSource

_UNUSED_SETTINGS = {"only_tracks", "track_strengths", "start_seconds", "end_seconds", "pulldown"}
"""Of a whole file: numbers of tracks count from its start, and a script trims a clip itself."""


def restore(clip: Any, *, settings: RestoreSettings | None = None) -> Any:
    """Return a clip with the faces restored.

    Frames are restored when they are asked for. Consecutive frames cost what they cost on the
    command line, and have the same samples. A jump costs more: the start of the shot is searched,
    and its faces are followed from there on.

    Args:
        clip: A ``vapoursynth.VideoNode`` of constant format: YUV, RGB or gray of 8 to 16 bits,
            progressive. Its frame properties say how colors are encoded.
        settings: Settings of the restoration; those of the encoder have no effect.

    Raises:
        ConfigError: VapourSynth is not installed, or a setting is of files or of tracks.
        MediaError: The clip has a format that is not supported.
        VidrestoreError: A network cannot be loaded.
    """
    settings = settings or RestoreSettings()
    for setting in settings_of(RestoreSettings):
        is_unused = setting.option.group == "Reports" or setting.name in _UNUSED_SETTINGS
        if is_unused and getattr(settings, setting.name) != setting.default:
            raise ConfigError(f"{setting.name}: is not for a clip; leave it out")
    source = ClipSource(clip)
    check_repair(source.info, settings, is_interlaced=False)
    restorer = ClipRestorer(source, settings)
    base = clip
    if restorer.scale != 1:
        size = {"width": clip.width * restorer.scale, "height": clip.height * restorer.scale}
        base = clip.std.BlankClip(**size, keep=True).std.CopyFrameProps(clip)

    def filled(n: int, f: Any) -> Any:
        output = f.copy()
        for number, plane in zip(source.plane_order, restorer.frame(n).planes, strict=True):
            np.asarray(output[number])[:] = plane
        return output

    return base.std.ModifyFrame(clips=[base], selector=filled)
