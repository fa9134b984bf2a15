"""Compression by JPEG and by real video codecs."""

import cv2
import numpy as np

from vidrestore.media.codec_generation import SimpleCodec, encode_decode
from vidrestore.types import FloatArray


def to_uint8(image_hwc: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Convert [0, 1] to 8 bits, rounded and clipped."""
    return np.clip(np.rint(image_hwc * 255.0), 0, 255).astype(np.uint8)


def jpeg(image_hwc: FloatArray, *, quality: int) -> FloatArray:
    """Return ``(H, W, 3)`` RGB in [0, 1] after JPEG at ``quality`` (1 to 100)."""
    bgr = np.ascontiguousarray(to_uint8(image_hwc)[:, :, ::-1])
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise RuntimeError("OpenCV could not encode a JPEG")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise RuntimeError("OpenCV could not decode its own JPEG")
    return decoded[:, :, ::-1].astype(np.float32) / 255.0


def video_codec(
    image_hwc: FloatArray, *, codec: SimpleCodec, quantizer: int, shift_xy: tuple[int, int]
) -> FloatArray:
    """Return ``(H, W, 3)`` RGB in [0, 1] as the third frame of a short compressed clip.

    The two frames before it are the same image shifted by ``shift_xy`` pixels per frame, so the
    result has the artifacts of motion compensation as well as those of quantization.
    """
    image = to_uint8(image_hwc)
    height, width = image.shape[:2]
    even = image[: height // 2 * 2, : width // 2 * 2]
    clip = [np.roll(even, (shift_xy[1] * k, shift_xy[0] * k), axis=(0, 1)) for k in (-2, -1, 0)]
    decoded = encode_decode(clip, codec=codec, quantizer=quantizer)[-1]
    result = image_hwc.copy()
    result[: decoded.shape[0], : decoded.shape[1]] = decoded.astype(np.float32) / 255.0
    return result
