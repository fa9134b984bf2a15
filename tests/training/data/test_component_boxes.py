"""Boxes of eyes and mouth follow the face: dense landmarks, parsing maps, profiles."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidrestore.affine import apply_affine
from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.component_boxes import (
    boxes_of_dense_landmarks,
    boxes_of_labels,
    component_boxes,
    mapped_boxes,
    mirrored_boxes,
)
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, SourceConfig
from vidrestore.training.data.face_table import BOX_COLUMNS, POINT_COLUMNS, FaceRow
from vidrestore.training.data.preparation.dense_landmarks import landmarks_from_ffhq
from vidrestore.training.data.preparation.photo_faces import AlignedPhoto
from vidrestore.training.degradations.recipes.table import RecipeConfig


def dense() -> np.ndarray:
    """68 landmarks: eyes 60 and 20 px wide, a mouth of 100 px by 40; the rest anywhere."""
    points = np.zeros((68, 2))
    points[36:42] = [[170, 240], [185, 232], [200, 232], [230, 240], [200, 248], [185, 248]]
    points[42:48] = [[310, 240], [312, 236], [318, 236], [330, 240], [318, 244], [312, 244]]
    around = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[48:68] = np.stack([256 + 50 * np.cos(around), 371 + 20 * np.sin(around)], axis=1)
    return points


def test_boxes_of_dense_landmarks_are_the_released_ones() -> None:
    """The numbers of parse_landmark.py and of the data set: mean - half + 1 to mean + half."""
    left, right, mouth = boxes_of_dense_landmarks(dense(), side_px=512)
    np.testing.assert_allclose(left, [195 - 42 + 1, 240 - 42 + 1, 195 + 42, 240 + 42])
    middle, half = 1900 / 6, 16 * 1.4  # an eye of 20 px counts as 32
    np.testing.assert_allclose(right, [middle - half + 1, 241 - half, middle + half, 240 + half])
    np.testing.assert_allclose(mouth, [256 - 50 + 1, 371 - 50 + 1, 256 + 50, 371 + 50], atol=1e-9)


def test_boxes_of_labels_hold_the_pixels_of_their_component() -> None:
    labels = np.ones((256, 256), np.uint8)
    cv2.ellipse(labels, (98, 120), (16, 8), 0, 0, 360, (4,), -1)
    cv2.ellipse(labels, (160, 122), (14, 8), 0, 0, 360, (5,), -1)
    cv2.rectangle(labels, (100, 180), (159, 189), (11,), -1)
    cv2.rectangle(labels, (100, 190), (159, 199), (12,), -1)
    points = (TEMPLATE_LANDMARKS_XY + 0.5) / 2 - 0.5
    boxes = boxes_of_labels(labels, points)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(centers, [[98.5, 120.5], [160.5, 122.5], [130, 190]], atol=0.6)
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, [1.4 * 32 - 1, 1.4 * 28 - 1, 59 - 1], atol=0.5)


def test_a_hidden_eye_has_a_box_of_the_size_of_the_other() -> None:
    labels = np.ones((512, 512), np.uint8)
    cv2.ellipse(labels, (150, 240), (30, 14), 0, 0, 360, (4,), -1)
    profile = TEMPLATE_LANDMARKS_XY.copy()
    profile[:, 0] = [150, 190, 230, 170, 200]
    left, right, mouth = boxes_of_labels(labels, profile)
    assert right[2] - right[0] == pytest.approx(left[2] - left[0])
    np.testing.assert_allclose((right[:2] + right[2:]) / 2, profile[1])
    np.testing.assert_allclose(mouth, component_boxes(profile)[2])


def test_five_landmarks_of_a_profile_do_not_shrink_the_boxes() -> None:
    profile = TEMPLATE_LANDMARKS_XY.copy()
    profile[:, 0] = 256 + (profile[:, 0] - 256) * 0.2
    frontal, turned = component_boxes(TEMPLATE_LANDMARKS_XY), component_boxes(profile)
    sides = [boxes[:, 2] - boxes[:, 0] for boxes in (frontal, turned)]
    np.testing.assert_allclose(sides[1], sides[0], rtol=0.03)


def test_boxes_are_mirrored_and_mapped_with_the_face() -> None:
    boxes = component_boxes(TEMPLATE_LANDMARKS_XY)
    twice = mirrored_boxes(mirrored_boxes(boxes, width_px=512), width_px=512)
    np.testing.assert_allclose(twice, boxes)
    mirrored = TEMPLATE_LANDMARKS_XY[[1, 0, 2, 4, 3]].copy()
    mirrored[:, 0] = 511 - mirrored[:, 0]
    np.testing.assert_allclose(mirrored_boxes(boxes, width_px=512), component_boxes(mirrored))
    half = np.array([[0.5, 0.0, 3.0], [0.0, 0.5, -2.0]])
    moved = apply_affine(half, TEMPLATE_LANDMARKS_XY)
    np.testing.assert_allclose(mapped_boxes(boxes, half), component_boxes(moved), atol=1e-9)


def test_training_uses_the_boxes_of_the_table(tmp_path: Path) -> None:
    points = (TEMPLATE_LANDMARKS_XY + 0.5) / 4 - 0.5
    boxes = component_boxes(points) + np.array([[0, 0, 6, 6], [0, 0, 0, 0], [2, 2, 2, 2]])
    cells = [*points.ravel(), 128, *boxes.ravel()]
    header = ["file", *POINT_COLUMNS, "eff_res512", *BOX_COLUMNS]
    row = ["a.png", *(f"{cell:.3f}" for cell in cells)]
    (tmp_path / "faces.tsv").write_text("\t".join(header) + "\n" + "\t".join(row) + "\n")
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    config = DatasetConfig(
        root=tmp_path,
        sources=(SourceConfig(folder="."),),
        recipes=(RecipeConfig(name="none", probability=1.0),),
        size_px=128,
    )
    seen = [FaceDataset(config, seed=0)[index].boxes_xyxy.numpy() for index in range(8)]
    straight = [np.allclose(drawn, boxes, atol=0.1) for drawn in seen]
    mirrored = [np.allclose(drawn, mirrored_boxes(boxes, width_px=128), atol=0.1) for drawn in seen]
    assert 0 < sum(straight) < 8
    assert [one or other for one, other in zip(straight, mirrored, strict=True)] == [True] * 8


def aligned(photo_px: int) -> AlignedPhoto:
    """A face whose photograph is its crop, at another size."""
    photo_xy = (TEMPLATE_LANDMARKS_XY + 0.5) * (photo_px / 512) - 0.5
    row = FaceRow(image_path=Path(), tile_xywh=None, points_xy=photo_xy, effective_px=512)
    return AlignedPhoto(
        crop_hwc=np.zeros((512, 512, 3), np.uint8),
        points_xy=TEMPLATE_LANDMARKS_XY,
        native_px=512,
        effective_px=512,
        row=row,
        photograph_hw=(photo_px, photo_px),
    )


def test_landmarks_of_ffhq_are_those_of_its_images_at_any_size(tmp_path: Path) -> None:
    path = tmp_path / "ffhq.json"
    at_1024 = (dense() + 0.5) * 2 - 0.5
    entry = {"image": {"face_landmarks": at_1024.tolist()}}
    path.write_text(json.dumps({"7": entry}))
    landmarks = landmarks_from_ffhq(path)
    for side in (1024, 512):
        points = landmarks("00000/00007.png", aligned(side))
        assert points is not None
        np.testing.assert_allclose(points, dense(), atol=1e-6)
    assert landmarks("00008.png", aligned(512)) is None
    entry["image"]["face_landmarks"] = (at_1024 + 400).tolist()
    path.write_text(json.dumps({"7": entry}))
    assert landmarks_from_ffhq(path)("7.png", aligned(512)) is None, "those of another face"
    for broken, message in (
        ("[", "not readable as JSON"),
        ('{"1": {}}', "no image.face_landmarks"),
    ):
        path.write_text(broken)
        with pytest.raises(ConfigError, match=message):
            landmarks_from_ffhq(path)
