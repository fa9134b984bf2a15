from importlib.resources import as_file, files

import torch
from safetensors import safe_open

from vidrestore.faces.detection.mtcnn_detector import packaged_mtcnn
from vidrestore.models.mtcnn import Mtcnn


def test_the_embedded_weights_load_into_every_layer() -> None:
    fresh, loaded = Mtcnn().state_dict(), packaged_mtcnn().state_dict()

    assert fresh.keys() == loaded.keys()
    assert all(not torch.equal(fresh[name], loaded[name]) for name in fresh)


def test_the_weights_state_their_source_and_license() -> None:
    data = files("vidrestore.models") / "data"
    with as_file(data / "mtcnn.safetensors") as path, safe_open(path, framework="pt") as file:
        metadata = file.metadata()

    notice = (data / "NOTICE").read_text()
    assert "facenet-pytorch 2.6.0" in metadata["source"]
    assert "MIT" in metadata["license"]
    assert "Copyright (c) 2019 Timothy Esler" in notice
    assert "Permission is hereby granted" in notice


def test_the_proposal_network_scores_a_cell_every_two_pixels() -> None:
    proposals = Mtcnn().proposal(torch.zeros(2, 3, 40, 61))

    assert proposals.face_logits.shape == (2, 15, 26)
    assert proposals.box_offsets.shape == (2, 4, 15, 26)


def test_crops_are_scored_the_same_alone_and_in_a_batch() -> None:
    network = packaged_mtcnn().eval()
    small = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    large = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1

    with torch.inference_mode():
        together = [*network.refine(small), *network.output(large)]
        alone = [
            [*network.refine(first[None]), *network.output(other[None])]
            for first, other in zip(small, large, strict=True)
        ]

    for batched, single in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(batched, torch.cat(single), atol=1e-5, rtol=1e-5)


def test_landmarks_are_five_pairs_of_x_and_y() -> None:
    output = Mtcnn().output(torch.zeros(2, 3, 48, 48))

    assert output.landmarks.shape == (2, 5, 2)
    assert output.box_offsets.shape == (2, 4)
