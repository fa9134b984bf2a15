"""Sources that ``--repair`` refuses."""

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.settings import RestoreSettings


def check_repair(info: VideoInfo, settings: RestoreSettings, *, is_interlaced: bool) -> None:
    """Refuse sources whose frames cannot be compared with their neighbors.

    Args:
        info: The source as the stages see it.
        settings: Settings of the run.
        is_interlaced: Whether its frames are made of two fields.

    Raises:
        ConfigError: It is a single image.
        MediaError: It is interlaced.
    """
    if not settings.repair:
        return
    if info.kind == "picture":
        raise ConfigError(
            f"--repair compares frames with their neighbors, but {info.path} is one image; leave "
            "it out"
        )
    if is_interlaced:
        raise MediaError(
            f"{info.path}: interlaced, and --repair compares whole frames; add --deinterlace "
            "frame, or leave out --repair"
        )
