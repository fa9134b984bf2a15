"""NIQE: distance of an image's statistics from those of sharp images. Lower is better.

Mittal, Soundararajan and Bovik 2013, "Making a completely blind image quality analyzer". The
formula is the paper's. The model is not: ``scripts/fit_niqe.py`` fitted the one in this package to
sharp faces, not to the authors' 125 photographs. Its scores must not be compared with published
ones; those by ``published_model`` can be.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import (
    load_file,  # pyright: ignore[reportUnknownVariableType]
    save_file,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.io import loadmat  # pyright: ignore[reportUnknownVariableType]
from scipy.special import gamma

from vidrestore.errors import WeightsError
from vidrestore.types import FloatArray

PATCH_PX = 96
"""Side of a patch, as in the paper; a multiple of two, for the second scale."""
FEATURES = 36
SHARP_RATIO = 0.75
"""Patches below this fraction of an image's highest sharpness are not fitted (section 3.2)."""
_PACKAGED_MODEL = "niqe_faces.safetensors"
_PUBLISHED_KEYS = (("mu_pris_param", "cov_pris_param"), ("mu_prisparam", "cov_prisparam"))
"""Names of mean and covariance in the published parameters: as ``.npz``, and as MATLAB's file."""
_HALF_TAPS = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
"""MATLAB's ``imresize`` by a half: the bicubic kernel (a = -1/2) stretched to eight pixels."""

Array = NDArray[np.float64]
Halving: TypeAlias = Literal["area", "bicubic"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NiqeModel:
    """The multivariate Gaussian of the features of sharp patches."""

    mean: Array
    """``(36,)``."""
    covariance: Array
    """``(36, 36)``."""
    halving: Halving = "area"
    """How images were halved for the second scale: by means of 2 x 2 pixels, or as in MATLAB."""

    def __post_init__(self) -> None:
        if self.mean.shape != (FEATURES,) or self.covariance.shape != (FEATURES, FEATURES):
            raise ValueError(f"expected {FEATURES} features, got {self.mean.shape}")


@cache
def packaged_model() -> NiqeModel:
    """Return the model of sharp faces in this package.

    Raises:
        WeightsError: The file in the package is missing or damaged.
    """
    with as_file(files("vidrestore.metrics") / "data" / _PACKAGED_MODEL) as path:
        return read_model(path)


def read_model(path: Path) -> NiqeModel:
    """Read a model written by ``write_model``.

    Raises:
        WeightsError: The file is missing, damaged, or something else.
    """
    try:
        tensors = load_file(path)
        return NiqeModel(
            mean=tensors["mean"].astype(np.float64),
            covariance=tensors["covariance"].astype(np.float64),
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a NIQE model file: {error}") from error


def published_model(path: Path) -> NiqeModel:
    """Return the authors' parameters: ``modelparameters.mat``, or ``niqe_pris_params.npz``.

    Raises:
        WeightsError: The file is missing, damaged, or something else.
    """
    try:
        parameters = _read_arrays(path)
        for mean, covariance in _PUBLISHED_KEYS:
            if mean in parameters:
                return NiqeModel(
                    mean=np.asarray(parameters[mean], np.float64).ravel(),
                    covariance=np.asarray(parameters[covariance], np.float64),
                    halving="bicubic",
                )
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not the parameters of NIQE: {error}") from error
    raise WeightsError(
        f"{path}: not the published parameters of NIQE, but {', '.join(parameters) or 'nothing'}; "
        "name modelparameters.mat or niqe_pris_params.npz"
    )


def _read_arrays(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".mat":
        with path.open("rb") as file:
            return cast("dict[str, Any]", loadmat(file))
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def write_model(model: NiqeModel, path: Path, *, metadata: dict[str, str]) -> None:
    """Write a model, with metadata about its origin."""
    save_file(
        {"mean": model.mean, "covariance": model.covariance},
        path,
        metadata=metadata,
    )


def niqe(image_hwc: FloatArray, *, model: NiqeModel | None = None) -> float:
    """Return the distance of an image from sharp ones (equation 10).

    Args:
        image_hwc: ``(H, W, 3)`` RGB in [0, 1], at least two patches on each side.
        model: Model of sharp images; the packaged one if None.

    Raises:
        ValueError: The image is too small.
    """
    model = model or packaged_model()
    features, _ = patch_features(luma_255(image_hwc), halving=model.halving)
    if len(features) < 4:
        raise ValueError(f"NIQE needs {2 * PATCH_PX} pixels on a side, got {image_hwc.shape[:2]}")
    difference = features.mean(axis=0) - model.mean
    pooled = (np.cov(features, rowvar=False) + model.covariance) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))


def fit(images_hwc: Iterable[FloatArray]) -> NiqeModel:
    """Return the model of the sharp patches of images (section 3.2).

    Args:
        images_hwc: ``(H, W, 3)`` RGB in [0, 1].

    Raises:
        ValueError: There are fewer sharp patches than features.
    """
    sharp_features: list[Array] = []
    for image in images_hwc:
        features, sharpness = patch_features(luma_255(image))
        if len(features):
            sharp_features.append(features[sharpness > SHARP_RATIO * sharpness.max()])
    sharp = np.concatenate(sharp_features) if sharp_features else np.zeros((0, FEATURES))
    if len(sharp) <= FEATURES:
        raise ValueError(f"{len(sharp)} sharp patches are too few for {FEATURES} features")
    return NiqeModel(mean=sharp.mean(axis=0), covariance=np.cov(sharp, rowvar=False))


def luma_255(image_hwc: FloatArray) -> Array:
    """Return BT.601 luma on a scale of 255, rounded, ``(H, W)``."""
    luma = np.clip(image_hwc, 0, 1).astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return np.rint(255 * luma)


def patch_features(luma_hw: Array, *, halving: Halving = "area") -> tuple[Array, Array]:
    """Return the ``(N, 36)`` features of all whole patches and their ``(N,)`` sharpness."""
    rows, columns = luma_hw.shape[0] // PATCH_PX, luma_hw.shape[1] // PATCH_PX
    luma = luma_hw[: rows * PATCH_PX, : columns * PATCH_PX]
    if not luma.size:
        return np.zeros((0, FEATURES)), np.zeros(0)
    scales: list[Array] = []
    sharpness = np.zeros(rows * columns)
    for side in (PATCH_PX, PATCH_PX // 2):
        normalized, deviation = _normalize(luma)
        scales.append(_statistics(normalized, side))
        if side == PATCH_PX:
            sharpness = _patches(deviation, side).mean(axis=(1, 2))
        luma = _halved(luma, halving)
    return np.concatenate(scales, axis=1), sharpness


def _halved(luma_hw: Array, halving: Halving) -> Array:
    if halving == "bicubic":
        # The taps are -3 to 4 pixels from an even one.
        filtered = cv2.sepFilter2D(
            luma_hw, -1, _HALF_TAPS, _HALF_TAPS, anchor=(3, 3), borderType=cv2.BORDER_REFLECT
        )
        return np.ascontiguousarray(filtered[::2, ::2], dtype=np.float64)
    half_wh = (luma_hw.shape[1] // 2, luma_hw.shape[0] // 2)
    smaller = cv2.resize(luma_hw, half_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.float64)


def _normalize(luma_hw: Array) -> tuple[Array, Array]:
    """Return mean-subtracted, contrast-normalized luma, and its deviations (equations 1 to 3)."""

    def mean(image: Array) -> Array:
        blurred = cv2.GaussianBlur(image, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred, dtype=np.float64)

    local_mean = mean(luma_hw)
    deviation = np.sqrt(np.abs(mean(luma_hw**2) - local_mean**2))
    return (luma_hw - local_mean) / (deviation + 1), deviation


def _patches(image_hw: Array, side: int) -> Array:
    """Return ``(N, side, side)``."""
    rows, columns = image_hw.shape[0] // side, image_hw.shape[1] // side
    split = image_hw.reshape(rows, side, columns, side).transpose(0, 2, 1, 3)
    return split.reshape(-1, side, side)


def _statistics(normalized_hw: Array, side: int) -> Array:
    """Return the ``(N, 18)`` features of one scale (sections 3.1 and 3.3)."""
    patches = _patches(normalized_hw, side)
    shape, left, right = _asymmetric_fit(patches)
    features = [shape, (left + right) / 2]
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        # Neighbors wrap around at the border of a patch.
        products = patches * np.roll(patches, (down, across), axis=(1, 2))
        shape, left, right = _asymmetric_fit(products)
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        features += [shape, mean, left, right]
    return np.stack(features, axis=1)


@cache
def _shape_table() -> tuple[Array, Array]:
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    return shapes, np.asarray(ratios, dtype=np.float64)


def _asymmetric_fit(samples_nhw: Array) -> tuple[Array, Array, Array]:
    """Return the shape and the left and right width of each patch's samples (section 3.1).

    By matching moments (Lasmar et al. 2009); a symmetric sample gives equal widths.
    """
    flat = samples_nhw.reshape(len(samples_nhw), -1)
    below, above = np.minimum(flat, 0), np.maximum(flat, 0)
    left = np.sqrt((below**2).sum(axis=1) / np.maximum(1, (flat < 0).sum(axis=1)))
    right = np.sqrt((above**2).sum(axis=1) / np.maximum(1, (flat > 0).sum(axis=1)))
    asymmetry = left / np.maximum(right, 1e-12)
    moment = np.abs(flat).mean(axis=1) ** 2 / np.maximum((flat**2).mean(axis=1), 1e-12)
    ratio = moment * (asymmetry**3 + 1) * (asymmetry + 1) / (asymmetry**2 + 1) ** 2
    shapes, ratios = _shape_table()
    shape = np.asarray(np.interp(ratio, ratios, shapes), dtype=np.float64)
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width
