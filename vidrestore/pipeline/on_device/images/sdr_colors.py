"""The SDR view of HDR, wide gamuts and linear light in batches, as ``sdr_view`` has it for one.

All tensors are ``(F, 3, h, w)`` float32 RGB.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.media.color import transfer as t
from vidrestore.media.color.code_points import HALF_FLOAT, HLG, LINEAR, PQ, PRINTING_DENSITY
from vidrestore.media.color.half_float import MAX_CODE, MAX_HALF
from vidrestore.media.color.sdr_view import KNEE, STEEPNESS, sdr_view
from vidrestore.pipeline.on_device.images.mixing import mixed_channels
from vidrestore.types import ColorTags, FloatArray

Curve = Callable[[Tensor], Tensor]


def to_view(rgb: Tensor, color: ColorTags) -> Tensor:
    """Return the view of a video's RGB, not clipped; the RGB itself where it is SDR."""
    view = sdr_view(color)
    if view is None:
        return rgb
    light = _mixed(_curves(color).to_light(rgb.clamp(-0.5, 1.5)), t.to_bt709(view.primaries))
    return _signed_power(_compressed(light) if view.compresses_highlights else light, 1 / _GAMMA)


def change_of_video(rgb: Tensor, change_of_view: Tensor, color: ColorTags) -> Tensor:
    """Return the change of a video's RGB for a change of its view; 0 stays 0.

    Args:
        rgb: The video's, not clipped.
        change_of_view: Difference of ``to_view``.
        color: Of the video.
    """
    view = sdr_view(color)
    if view is None:
        return change_of_view
    signal = rgb.clamp(-0.5, 1.5)
    light = _curves(color).to_light(signal)
    light_bt709 = _mixed(light, t.to_bt709(view.primaries))
    view_light = _compressed(light_bt709) if view.compresses_highlights else light_bt709
    target = _signed_power(view_light, 1 / _GAMMA) + change_of_view
    difference = _signed_power(target, _GAMMA) - view_light
    if view.compresses_highlights:
        difference = difference * (light_bt709.clamp(min=KNEE) / view_light.clamp(min=KNEE))
    light = light + _mixed(difference, t.from_bt709(view.primaries))
    is_changed = (change_of_view != 0).any(dim=1, keepdim=True)
    return torch.where(is_changed, _curves(color).from_light(light) - signal, 0.0)


_GAMMA = t.SDR_GAMMA


class _Curves(NamedTuple):
    to_light: Curve
    from_light: Curve


def _curves(color: ColorTags) -> _Curves:
    return _NOT_DISPLAY_GAMMA.get(color.transfer, _DISPLAY_GAMMA)


def _mixed(rgb: Tensor, matrix: FloatArray) -> Tensor:
    return mixed_channels(rgb.unbind(1), matrix)


def _compressed(light: Tensor) -> Tensor:
    above = ((light.clamp(min=KNEE) - KNEE) * (STEEPNESS / (1 - KNEE))).log1p()
    return above * ((1 - KNEE) / STEEPNESS) + light.clamp(max=KNEE)


def _signed_power(values: Tensor, exponent: float) -> Tensor:
    return values.abs().pow(exponent).copysign(values)


def _pq_to_light(signal: Tensor) -> Tensor:
    below_1 = (signal.abs().clamp(min=t.PQ_DARKEST).log() * (1 / t.PQ_M2)).expm1()
    share = (below_1 + t.PQ_BELOW_1).clamp(min=0) / (below_1 * -t.PQ_C3 + t.PQ_BELOW_1)
    nits = share.pow(1 / t.PQ_M1) * t.PQ_PEAK_NITS
    return nits.copysign(signal) * (1 / t.DIFFUSE_WHITE_NITS)


def _light_to_pq(light: Tensor) -> Tensor:
    root = (light.abs() * (t.DIFFUSE_WHITE_NITS / t.PQ_PEAK_NITS)).pow(t.PQ_M1)
    share = (root - 1) * t.PQ_BELOW_1 / (root * t.PQ_C3 + 1)
    return (share.log1p() * t.PQ_M2).exp().copysign(light)


def _hlg_to_light(signal: Tensor) -> Tensor:
    magnitude = signal.abs()
    low = magnitude.clamp(max=0.5).square() * (1 / 3)
    high = _hlg_upper(magnitude.clamp(min=0.5)) - _HLG_MEETS
    scene = (low + high).copysign(signal)
    gain = _luminance(scene).clamp(min=t.HLG_DARKEST).pow(t.HLG_SYSTEM_GAMMA - 1)
    return scene * gain * (t.HLG_PEAK_NITS / t.DIFFUSE_WHITE_NITS)


def _hlg_upper(signal: Tensor) -> Tensor:
    return (((signal - t.HLG_C) * (1 / t.HLG_A)).exp() + t.HLG_B) * (1 / 12)


_HLG_MEETS = float(_hlg_upper(torch.tensor(0.5)))


def _light_to_hlg(light: Tensor) -> Tensor:
    nits = light * t.DIFFUSE_WHITE_NITS
    luminance = _luminance(nits).clamp(min=0) * (1 / t.HLG_PEAK_NITS)
    gain = luminance.clamp(min=t.HLG_DARKEST**t.HLG_SYSTEM_GAMMA)
    scene = nits * gain.pow(1 / t.HLG_SYSTEM_GAMMA - 1) * (1 / t.HLG_PEAK_NITS)
    magnitude = scene.abs()
    low = (magnitude.clamp(max=1 / 12) * 3).sqrt()
    high = (magnitude.clamp(min=1 / 12) * 12 - t.HLG_B).log() * t.HLG_A + (t.HLG_C - 0.5)
    return (low + high.clamp(min=0)).copysign(scene)


def _luminance(rgb: Tensor) -> Tensor:
    return _mixed(rgb, t.LUMINANCE_OF_BT2020)


_CINEON_BLACK = 10 ** ((t.CINEON_BLACK - t.CINEON_WHITE) * t.CINEON_DECADES)


def _density_to_light(signal: Tensor) -> Tensor:
    decades = (signal * t.CINEON_TOP - t.CINEON_WHITE) * t.CINEON_DECADES
    return (torch.pow(10.0, decades) - _CINEON_BLACK) / (1 - _CINEON_BLACK)


def _light_to_density(light: Tensor) -> Tensor:
    exposure = (light * (1 - _CINEON_BLACK) + _CINEON_BLACK).clamp(min=1e-4)
    return (exposure.log10() / t.CINEON_DECADES + t.CINEON_WHITE) * (1 / t.CINEON_TOP)


def _half_to_light(signal: Tensor) -> Tensor:
    codes = (signal * MAX_CODE).round().clamp(0, MAX_CODE).int()
    bits = torch.where(codes >= 0x8000, codes ^ 0x8000, MAX_CODE - codes)
    halves = bits.to(torch.int16).view(torch.float16)
    return halves.float().nan_to_num(nan=0.0, posinf=MAX_HALF, neginf=-MAX_HALF)


def _light_to_half(light: Tensor) -> Tensor:
    halves = light.clamp(-MAX_HALF, MAX_HALF).half()
    bits = halves.view(torch.int16).int() & MAX_CODE
    codes = torch.where(bits >= 0x8000, MAX_CODE - bits, bits | 0x8000)
    return codes.float() * (1 / MAX_CODE)


def _gamma_to_light(signal: Tensor) -> Tensor:
    return _signed_power(signal, _GAMMA)


def _light_to_gamma(light: Tensor) -> Tensor:
    return _signed_power(light, 1 / _GAMMA)


_DISPLAY_GAMMA = _Curves(_gamma_to_light, _light_to_gamma)
_NOT_DISPLAY_GAMMA: Mapping[int, _Curves] = MappingProxyType(
    {
        PQ: _Curves(_pq_to_light, _light_to_pq),
        HLG: _Curves(_hlg_to_light, _light_to_hlg),
        LINEAR: _Curves(torch.clone, torch.clone),
        PRINTING_DENSITY: _Curves(_density_to_light, _light_to_density),
        HALF_FLOAT: _Curves(_half_to_light, _light_to_half),
    }
)
