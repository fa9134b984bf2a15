import pytest
import torch
from torchvision.ops import batched_nms

from vidrestore.faces.detection.boxes import suppress_overlapping


@pytest.mark.parametrize("count", [0, 1, 2, 40, 300, 1000, 1001, 1500])
@pytest.mark.parametrize("max_iou", [0.3, 0.5, 0.7])
def test_the_boxes_that_torchvision_keeps_are_kept_in_its_order(count: int, max_iou: float) -> None:
    rng = torch.Generator().manual_seed(count)
    for groups in (1, 3, 100):
        # Whole numbers give equal scores, equal overlaps and boxes without an area.
        for is_whole in (True, False):
            corner = torch.rand(count, 2, generator=rng) * 300 - 20
            size = torch.rand(count, 2, generator=rng) * 120 - 2
            scores = torch.randn(count, generator=rng) * 9
            if is_whole:
                corner, size, scores = corner.round(), size.round(), scores.round()
            boxes = torch.cat([corner, corner + size], dim=1)
            group = torch.randint(groups, (count,), generator=rng)

            kept = suppress_overlapping(boxes, scores, group, max_iou)

            assert torch.equal(kept, batched_nms(boxes, scores, group, max_iou))
