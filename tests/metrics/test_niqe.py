"""NIQE rises with every kind of damage, and its model is what sharp patches say."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from scipy.stats import gennorm
from support.faces import example_images

from vidrestore.errors import WeightsError
from vidrestore.metrics import niqe as module
from vidrestore.metrics.niqe import (
    FEATURES,
    fit,
    niqe,
    packaged_model,
    published_model,
    read_model,
    write_model,
)


def picture() -> np.ndarray:
    return example_images(1)[0][:384, :384].astype(np.float32) / 255.0


def test_a_face_gets_worse_with_blur_noise_and_jpeg() -> None:
    clean = niqe(picture())
    rng = np.random.default_rng(0)
    noisy = np.clip(picture() + rng.normal(0, 0.06, picture().shape), 0, 1).astype(np.float32)
    blurred = [cv2.GaussianBlur(picture(), (0, 0), sigma) for sigma in (1.5, 4.0)]
    done, data = cv2.imencode(".jpg", np.rint(picture() * 255), [cv2.IMWRITE_JPEG_QUALITY, 8])
    assert done
    coarse = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.float32) / 255
    assert clean < niqe(blurred[0]) < niqe(blurred[1])
    assert clean + 2 < niqe(noisy)
    assert clean + 1 < niqe(coarse)


def test_the_fit_recovers_the_shape_of_generalized_gaussians() -> None:
    for shape in (0.6, 1.0, 2.0):
        samples = gennorm.rvs(shape, size=(4, 96, 96), random_state=np.random.default_rng(0))
        result, left, right = module._asymmetric_fit(samples)
        np.testing.assert_allclose(result, shape, rtol=0.08)
        # The width of scipy's standard form is 1.
        np.testing.assert_allclose((left + right) / 2, 1.0, rtol=0.2)


def test_an_asymmetric_sample_has_unequal_widths() -> None:
    samples = np.random.default_rng(0).normal(size=(1, 96, 96))
    samples[samples > 0] *= 3
    _, left, right = module._asymmetric_fit(samples)
    assert float(right[0] / left[0]) == pytest.approx(3.0, rel=0.05)


def test_images_like_those_of_the_fit_get_a_lower_niqe() -> None:
    rng = np.random.default_rng(1)
    grainy = [
        np.repeat(
            cv2.GaussianBlur(rng.normal(0.5, 0.4, (288, 288)), (0, 0), 0.8)[:, :, None], 3, axis=2
        ).astype(np.float32)
        for _ in range(10)
    ]
    model = fit(grainy[:9])
    assert niqe(grainy[9], model=model) < niqe(picture(), model=model)


def test_a_model_is_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_model(packaged_model(), path, metadata={"pictures": "none"})
    np.testing.assert_array_equal(read_model(path).mean, packaged_model().mean)
    assert packaged_model().covariance.shape == (FEATURES, FEATURES)


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        read_model(path)


def test_small_images_and_small_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="192"):
        niqe(picture()[:150, :150])
    with pytest.raises(ValueError, match="too few"):
        fit([picture()])


def test_published_parameters_are_read_in_both_forms_and_downscale_like_matlab(
    tmp_path: Path,
) -> None:
    own = packaged_model()
    mean = own.mean[None]
    np.savez(tmp_path / "niqe.npz", mu_pris_param=mean, cov_pris_param=own.covariance)
    savemat(tmp_path / "niqe.mat", {"mu_prisparam": mean, "cov_prisparam": own.covariance})
    for name in ("niqe.npz", "niqe.mat"):
        model = published_model(tmp_path / name)
        np.testing.assert_array_equal(model.mean, own.mean)
        np.testing.assert_array_equal(model.covariance, own.covariance)
        assert model.halving == "bicubic"
        assert niqe(picture(), model=model) != niqe(picture())


def test_halving_equals_imresize_of_matlab() -> None:
    # MATLAB: imresize of a bright column.
    image = np.zeros((8, 8))
    image[:, 4] = 256
    np.testing.assert_allclose(module._halved(image, "bicubic")[2], [-3, 29, 111, -9])
    np.testing.assert_allclose(module._halved(image, "area")[2], [0, 0, 128, 0])


@pytest.mark.parametrize("content", ["nothing", "other"])
def test_a_file_without_the_published_parameters_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "niqe.npz"
    path.write_bytes(b"nothing")
    if content == "other":
        np.savez(path, mu=np.zeros(3))
    with pytest.raises(WeightsError, match=r"niqe\.npz: not the"):
        published_model(path)
