import numpy as np

from vidrestore.media.color.half_float import (
    MAX_CODE,
    half_codes,
    half_floats,
    light_of_signal,
    signal_of_light,
)

CODES = np.arange(MAX_CODE + 1).astype(np.uint16)


def test_every_half_float_is_kept_bit_for_bit_including_nans() -> None:
    bits = CODES.view(np.float16)
    assert np.array_equal(half_floats(half_codes(bits)).view(np.uint16), CODES)
    assert np.array_equal(half_codes(half_floats(CODES)), CODES)


def test_codes_increase_with_the_values() -> None:
    values = half_floats(CODES[1023:64_513]).astype(np.float64)
    assert values[0] == -np.inf
    assert values[-1] == np.inf
    # Minus zero and zero are the only neighbors that are equal.
    assert np.flatnonzero(np.diff(values[1:-1]) <= 0).tolist() == [32_767 - 1024]
    named = np.array([-np.inf, -0.0, 0.0, 1.0, np.inf], np.float16)
    assert half_codes(named).tolist() == [1023, 32_767, 32_768, 48_128, 64_512]


def test_linear_light_is_recovered_from_its_signal_and_is_never_nan() -> None:
    light = light_of_signal((CODES / MAX_CODE).astype(np.float32))
    assert np.isfinite(light).all()
    back = np.rint(signal_of_light(light) * MAX_CODE).astype(int)
    finite = slice(1024, 64_512)
    assert np.array_equal(back[finite], CODES[finite].astype(int))
    # Infinities become the largest numbers, and what is no number becomes zero.
    assert (back[1023], back[64_512]) == (1024, 64_511)
    assert {*back[:1023], *back[64_513:]} == {32_768}
