"""The mask of a head: hair, ears and neck, but no background, no other face and no square edge."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.frames import YUV444, random_frame
from support.restoring import face_at, restored_face

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.media.color.region_rgb import region_luma
from vidrestore.paste.composite import paste_faces
from vidrestore.paste.face_mask import face_mask
from vidrestore.paste.grain import grain_to_add
from vidrestore.paste.head import COLOR_CELLS, likely_head, nearest_face_weight
from vidrestore.paste.settings import PasteConfig
from vidrestore.types import DisplayGeometry, Frame, RestoredFace, TrackedFace

HW = (600, 640)
CENTER_XY = (319.5, 299.5)
GEOMETRY = DisplayGeometry(coded_hw=HW)
HEAD = PasteConfig(color_match=0.0, mask="head")
FACE = replace(HEAD, mask="face")


def frame_of(rgb_hwc: np.ndarray) -> Frame:
    """Return a frame whose three planes hold ``rgb_hwc``, as luma and chroma."""
    planes = tuple(np.rint(np.ascontiguousarray(rgb_hwc[:, :, index])) for index in range(3))
    frame = random_frame(YUV444, rgb_hwc.shape[:2])
    return frame.with_planes(tuple(plane.astype(np.uint8) for plane in planes))


def gray_frame(hw: tuple[int, int] = HW) -> Frame:
    """Return a frame of slow waves without color, in which color tells nothing."""
    waves = random_frame(YUV444, hw, smooth=True).planes[0]
    return frame_of(np.stack([waves, np.full(hw, 128), np.full(hw, 128)], axis=2))


def radius_px(half_width: float, half_height: float) -> np.ndarray:
    """Return about how far each pixel of a frame lies outside an upright oval in its middle."""
    y, x = np.mgrid[0 : HW[0], 0 : HW[1]]
    across, down = (x - CENTER_XY[0]) / half_width, (y - CENTER_XY[1]) / half_height
    return (np.hypot(across, down) - 1) * half_width


def head_in_front_of(background: tuple[int, int, int]) -> tuple[Frame, np.ndarray]:
    """Return an oval head in one color in front of another, and where the head is."""
    head = radius_px(130, 200) < 0
    rgb = np.where(head[:, :, None], np.array((120, 108, 150)), np.array(background))
    return frame_of(rgb), head


def mask_in_frame(
    frame: Frame, face: RestoredFace, others: tuple[TrackedFace, ...] = (), shape: str = "head"
) -> np.ndarray:
    """Return the mask at every pixel of the frame."""
    full = np.zeros(frame.coded_hw, np.float32)
    geometry = DisplayGeometry(coded_hw=frame.coded_hw)
    mask = face_mask(frame, geometry, face, shape=shape, others=others)  # type: ignore[arg-type]
    if mask is not None:
        left, top, right, bottom = mask.box_xyxy
        full[top:bottom, left:right] = mask.mask_hw
    return full


def darkened(frame: Frame, face: TrackedFace) -> RestoredFace:
    geometry = DisplayGeometry(coded_hw=frame.coded_hw)
    return restored_face(frame, geometry, face, gain=1.0, shift=-0.15)


def test_the_head_mask_is_larger_than_that_of_the_face_and_0_at_the_edge_of_the_crop() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    mask, inner = mask_in_frame(frame, face), mask_in_frame(frame, face, shape="face")
    assert (mask >= inner - 0.02).all()
    assert mask.sum() > 1.5 * inner.sum()
    crop = mask[44 : 44 + 512, 64 : 64 + 512]
    assert max(edge.max() for edge in (crop[:4], crop[-4:], crop[:, :4], crop[:, -4:])) == 0.0
    assert mask.sum() == pytest.approx(crop.sum())
    # The crown, both ears and the neck.
    for x, y in ((256, 80), (110, 260), (402, 260), (256, 430)):
        assert crop[y, x] > 0.98


def test_the_mask_falls_over_tens_of_pixels() -> None:
    frame = gray_frame()
    mask = mask_in_frame(frame, darkened(frame, face_at(CENTER_XY, size_px=512)))
    assert 0.0 <= mask.min() <= mask.max() <= 1.0 + 1e-6
    assert np.abs(np.diff(mask, axis=0)).max() < 0.04
    assert np.abs(np.diff(mask, axis=1)).max() < 0.04


def test_background_of_another_color_is_unchanged_up_to_the_outline_of_the_head() -> None:
    frame, head = head_in_front_of((120, 160, 100))
    where, gray = face_at(CENTER_XY, size_px=512), gray_frame()
    mask, shape = (mask_in_frame(picture, darkened(picture, where)) for picture in (frame, gray))
    assert mask[head & (shape > 0.99)].min() > 0.9
    beyond = (radius_px(130, 200) > 64) & (shape > 0.5)
    assert beyond.sum() > 2000
    assert mask[beyond].max() < 0.2
    assert mask[beyond].mean() < 0.05


def test_colors_do_not_shrink_the_mask_if_head_and_background_look_alike() -> None:
    similar = np.full((COLOR_CELLS, COLOR_CELLS, 3), 0.4, np.float32)
    np.testing.assert_allclose(likely_head(similar), 1.0, atol=1e-3)


def test_colors_unlike_head_and_background_stay_inside_the_mask() -> None:
    colors = np.zeros((COLOR_CELLS, COLOR_CELLS, 3), np.float32)
    colors[4:, 6:-6] = (0.8, 0.6, 0.5)
    colors[1:4, 8:-8] = (0.9, 0.1, 0.1)  # a hat
    assert likely_head(colors)[2, 12:-12].min() > 0.9
    assert likely_head(colors)[:8, 0].max() < 0.05


def textured(face: RestoredFace, *, levels: float, seed: int = 0) -> RestoredFace:
    """Return ``face`` with the same fine texture in the film's crop, less of it restored."""
    rng = np.random.default_rng(seed)
    texture = torch.from_numpy(rng.normal(0, levels / 255, (1, 512, 512)).astype(np.float32))
    hair = torch.from_numpy(np.hypot(*(np.indices((512, 512)) - 256.0)) > 200)
    crop = (face.aligned.crop_chw + texture * hair).clamp(0, 1)
    return replace(face, aligned=replace(face.aligned, crop_chw=crop))


def test_hair_blurred_by_the_restorer_is_left_unchanged() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    plain = mask_in_frame(frame, face)
    mask = mask_in_frame(frame, textured(face, levels=12))
    hair = (radius_px(205, 205) > 20) & (plain > 0.2)
    hair &= mask_in_frame(frame, face, shape="face") == 0.0
    assert hair.sum() > 1000
    assert mask[hair].max() < 0.2
    face_only = mask_in_frame(frame, face, shape="face")
    assert (mask >= face_only - 0.02).all()


def test_grain_is_not_mistaken_for_hair() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    grain = torch.from_numpy(np.random.default_rng(1).normal(0, 8 / 255, (1, 512, 512)))
    crop = (face.aligned.crop_chw + grain.float()).clamp(0, 1)
    grainy = replace(face, aligned=replace(face.aligned, crop_chw=crop))
    difference = np.abs(mask_in_frame(frame, grainy) - mask_in_frame(frame, face))
    assert difference.max() < 0.1


def test_noise_and_small_motion_hardly_change_the_mask() -> None:
    frame, _ = head_in_front_of((120, 140, 110))
    noisy = [
        np.clip(plane + np.random.default_rng(index).normal(0, 6, HW), 0, 255).astype(np.uint8)
        for index, plane in enumerate(frame.planes)
    ]
    still = mask_in_frame(frame, darkened(frame, face_at(CENTER_XY, size_px=512)))
    grainy = frame.with_planes(tuple(noisy))
    trembling = mask_in_frame(grainy, darkened(grainy, face_at(CENTER_XY, size_px=512)))
    assert np.abs(trembling - still).max() < 0.08
    moved = mask_in_frame(frame, darkened(frame, face_at((320.0, 299.8), size_px=513)))
    assert np.abs(moved - still).max() < 0.08


def test_each_pixel_belongs_to_the_nearer_of_two_heads() -> None:
    frame = gray_frame((600, 900))
    tracks = face_at((300, 300), size_px=420), face_at((520, 320), size_px=360, track_id=2)
    first, second = (darkened(frame, track) for track in tracks)
    alone = mask_in_frame(frame, first)
    masks = (
        mask_in_frame(frame, first, (tracks[1],)),
        mask_in_frame(frame, second, (tracks[0],)),
    )
    assert (masks[0] + masks[1]).max() < 1.04
    assert np.abs(np.diff(masks[0], axis=1)).max() < 0.06
    for own, other, track in ((*masks, tracks[0]), (*masks[::-1], tracks[1])):
        for x, y in np.rint(track.landmarks_xy).astype(int):
            assert own[y, x] > 0.99
            assert other[y, x] == 0.0
    # Without the other, the first head's mask does cover its face.
    assert alone[320, 455] > 0.5


def test_weights_of_two_faces_sum_to_1_and_of_three_to_at_most_1() -> None:
    places = [TEMPLATE_LANDMARKS_XY + shift for shift in ((0, 0), (150, 20), (60, 160))]
    two = nearest_face_weight(places[0], [places[1]]) + nearest_face_weight(places[1], [places[0]])
    np.testing.assert_allclose(two, 1.0, atol=1e-5)
    three = sum(
        nearest_face_weight(place, [o for o in places if o is not place]) for place in places
    )
    assert np.max(three) <= 1.0 + 1e-5
    assert np.min(three) > 0.7


def test_a_skipped_neighbor_keeps_every_sample_of_its_face() -> None:
    frame = gray_frame((600, 900))
    geometry = DisplayGeometry(coded_hw=frame.coded_hw)
    face = darkened(frame, face_at((300, 300), size_px=420))
    neighbor = face_at((490, 320), size_px=300, track_id=2)
    near = np.zeros(frame.coded_hw, bool)
    (left, top), (right, bottom) = (neighbor.landmarks_xy.min(0), neighbor.landmarks_xy.max(0))
    near[round(top) : round(bottom), round(left) : round(right)] = True

    def changed(skipped_faces: tuple[TrackedFace, ...]) -> np.ndarray:
        after = paste_faces(
            frame, geometry, (face,), config=HEAD, keep_chroma=False, skipped_faces=skipped_faces
        )
        return after.frame.planes[0] != frame.planes[0]

    assert changed(())[near].any()
    assert not changed((neighbor,))[near].any()


def test_the_order_of_heads_does_not_change_the_result() -> None:
    frame = gray_frame((600, 900))
    geometry = DisplayGeometry(coded_hw=frame.coded_hw)
    tracks = face_at((300, 300), size_px=420), face_at((480, 320), size_px=380, track_id=2)
    faces = tuple(darkened(frame, track) for track in tracks)
    one, other = (
        paste_faces(frame, geometry, order, config=HEAD, keep_chroma=False)
        for order in (faces, faces[::-1])
    )
    assert one.masks_xyxy == other.masks_xyxy[::-1]
    for first, second in zip(one.frame.planes, other.frame.planes, strict=True):
        assert np.abs(first.astype(int) - second).max() <= 1


@pytest.mark.parametrize("center_xy", [(4.0, 6.0), (636.0, 300.0), (320.0, 597.0)])
def test_a_head_at_the_edge_of_the_frame_is_restored_up_to_the_edge(
    center_xy: tuple[float, float],
) -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(center_xy, size_px=300))
    after = paste_faces(frame, GEOMETRY, (face,), config=HEAD, keep_chroma=False)
    (box,) = after.masks_xyxy
    assert box is not None
    x, y = (min(round(at), size - 1) for at, size in zip(center_xy, HW[::-1], strict=True))
    assert box[0] <= x < box[2] <= HW[1]
    assert box[1] <= y < box[3] <= HW[0]
    changed = after.frame.planes[0] != frame.planes[0]
    assert max(changed[0].sum(), changed[-1].sum(), changed[:, -1].sum()) > 30
    changed[box[1] : box[3], box[0] : box[2]] = False
    assert not changed.any()


def test_a_crop_that_only_touches_the_frame_changes_nothing() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at((-148.0, -148.0), size_px=300))
    after = paste_faces(frame, GEOMETRY, (face,), config=HEAD, keep_chroma=False)
    for old, new in zip(frame.planes, after.frame.planes, strict=True):
        np.testing.assert_array_equal(new, old)


def test_the_box_contains_only_samples_that_may_change() -> None:
    frame, head = head_in_front_of((120, 190, 60))
    mask = face_mask(
        frame, GEOMETRY, darkened(frame, face_at(CENTER_XY, size_px=512)), shape="head"
    )
    assert mask is not None
    y, x = np.nonzero(mask.mask_hw)
    assert min(x.min(), y.min()) <= 8
    assert mask.mask_hw.shape[1] - x.max() <= 9
    assert mask.mask_hw.shape[0] - y.max() <= 9
    columns = np.flatnonzero(head.any(axis=0))
    assert mask.box_xyxy[0] > 64 + 4
    assert mask.box_xyxy[0] <= columns[0]


@pytest.mark.parametrize("size_px", [30, 380, 512, 700])
def test_face_and_head_masks_restore_the_middle_of_the_face_alike(size_px: int) -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=size_px))
    face_only, with_head = (
        paste_faces(frame, GEOMETRY, (face,), config=config, keep_chroma=False).frame
        for config in (FACE, HEAD)
    )
    reach = round(size_px * 0.08)
    core = slice(300 - reach, 300 + reach), slice(320 - reach, 320 + reach)
    for first, other in zip(face_only.planes, with_head.planes, strict=True):
        assert np.abs(first[core].astype(int) - other[core]).max() <= 1


def test_the_mask_of_a_face_does_not_depend_on_other_faces() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=300))
    other = face_at((420, 300), size_px=300, track_id=2)
    with_other, alone = (
        paste_faces(
            frame, GEOMETRY, (face,), config=FACE, keep_chroma=False, skipped_faces=skipped_faces
        )
        for skipped_faces in ((other,), ())
    )
    assert with_other.masks_xyxy == alone.masks_xyxy
    for first, two in zip(with_other.frame.planes, alone.frame.planes, strict=True):
        np.testing.assert_array_equal(first, two)


def test_hair_texture_is_not_mistaken_for_grain() -> None:
    frame = gray_frame()
    y, x = np.indices(HW)
    hair = np.hypot((x - CENTER_XY[0]) / 174, (y - 315) / 216) > 0.9
    strands = np.where(hair, np.random.default_rng(0).integers(-30, 30, HW), 0)
    luma = np.clip(frame.planes[0] + strands, 0, 255).astype(np.uint8)
    frame = frame.with_planes((luma, *frame.planes[1:]))
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    result = paste_faces(frame, GEOMETRY, (face,), config=HEAD, keep_chroma=False)
    (pasted,) = result.faces
    assert pasted is not None
    mask = pasted.mask
    before, after = (region_luma(image, mask.box_xyxy) for image in (frame, result.frame))
    assert grain_to_add(before, after, mask.mask_hw, mask.skin) is None


def parsed(face: RestoredFace, head_mask_hw: np.ndarray, *, seen: float = 1.0) -> RestoredFace:
    """Return ``face`` as a parser tells it, which sees ``seen`` of the face's middle."""
    region = torch.full((128, 128), seen)
    return replace(
        face, face_mask_hw=region, head_mask_hw=torch.from_numpy(head_mask_hw.astype(np.float32))
    )


def test_pixels_that_the_parser_does_not_label_head_are_unchanged() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    head = np.ones((128, 128))
    head[:, :40] = 0.0  # a hand before the cheek
    mask = mask_in_frame(frame, parsed(face, head))
    assert mask[:, : 64 + 140].max() < 1e-6
    assert mask[300, 64 + 190 : 64 + 400].min() > 0.95
    assert np.abs(np.diff(mask, axis=1)).max() < 0.08


def test_a_head_without_parser_labels_keeps_its_mask() -> None:
    frame = gray_frame()
    face = darkened(frame, face_at(CENTER_XY, size_px=512))
    missed = parsed(face, np.zeros((128, 128)), seen=0.0)
    np.testing.assert_array_equal(mask_in_frame(frame, missed), mask_in_frame(frame, face))


def test_head_masks_that_do_not_divide_the_crop_are_refused() -> None:
    face = darkened(gray_frame(), face_at(CENTER_XY, size_px=512))
    with pytest.raises(ValueError, match="head_mask_hw must be"):
        replace(face, head_mask_hw=torch.zeros(100, 100))
