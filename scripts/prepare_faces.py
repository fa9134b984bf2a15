"""Turn photographs into an aligned training set.

    python scripts/prepare_faces.py photos/ faces/
    python scripts/prepare_faces.py ffhq.zip faces/ --least 384 --parser parser.pth
    python scripts/prepare_faces.py images1024x1024/ faces/ --landmarks ffhq-dataset-v2.json
    python scripts/prepare_faces.py photos/ faces/ --masks masks/
    python scripts/prepare_faces.py CelebAMask-HQ/ faces/train --celebamask train
    python scripts/prepare_faces.py --generate 5000 generated/
    python scripts/prepare_faces.py --film one.mkv --film two.mkv clips/
    python scripts/prepare_faces.py faces/ shards/ --shards 1000

It detects faces, aligns them to 512 pixels, and estimates their effective resolution from their
size and their spectrum, so that upscaled photographs are recognized. It prints why it drops faces,
and writes PNGs, ``faces.tsv`` (landmarks, effective resolution, boxes of eyes and mouth) and, with
a parser or masks of the photographs, masks. Name the folder in the ``sources`` of a training
config.

The same command continues an interrupted one.

With ``--generate N`` there are no photographs: the packaged generator draws faces of people who do
not exist, one for each number from ``--first`` on. Those with visible faults are dropped.

With ``--film`` faces are tracked, and written as clips of aligned frames, in two folders for
``sources``: ``train`` and ``test``. ``--shards`` packs a prepared folder into tar archives in
webdataset's form, of so many faces each; training reads them in its place.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore.devices import resolve_device
from vidrestore.errors import VidrestoreError
from vidrestore.models.common.outputs import ParserOutput
from vidrestore.models.face_parser import FaceParser
from vidrestore.pipeline.loading.load_models import DETECTORS, load_detector
from vidrestore.safeguard.identity import (
    embedding_norm,
    face_embedding,
    packaged_dlib_resnet,
)
from vidrestore.training.data.preparation.celebamask import Split, photographs
from vidrestore.training.data.preparation.dense_landmarks import landmarks_from_ffhq
from vidrestore.training.data.preparation.film_clips import ClipConfig, prepare_clips
from vidrestore.training.data.preparation.generate_faces import GenerateConfig, generate
from vidrestore.training.data.preparation.label_sources import (
    LabelSource,
    labels_from_celebamask,
    labels_from_images,
)
from vidrestore.training.data.preparation.photo_faces import AlignedPhoto, PrepareConfig
from vidrestore.training.data.preparation.prepare_faces import prepare_faces
from vidrestore.training.data.preparation.prepared_folder import PrepareReport
from vidrestore.training.data.preparation.write_shards import write_shards
from vidrestore.types import CROP_SIZE_PX
from vidrestore.weights.load import load_weights
from vidrestore.weights.priors import load_mobile_stylegan


def labels_from_parser(path: Path, device: torch.device) -> LabelSource:
    """Return a source of labels: the face parser of a checkpoint.

    Raises:
        WeightsError: The file is missing, or not a checkpoint of the parser.
    """
    network = FaceParser()
    load_weights(network, path)
    network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def labels(_origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        chw = torch.from_numpy(np.ascontiguousarray(face.crop_hwc)).permute(2, 0, 1)
        crop = chw[None].to(device).float() / 127.5 - 1
        size = (CROP_SIZE_PX, CROP_SIZE_PX)
        sized = torch.nn.functional.interpolate(crop, size, mode="bilinear", antialias=True)
        parsed: ParserOutput = network(sized)
        logits = torch.nn.functional.interpolate(parsed.logits, crop.shape[2:], mode="bilinear")
        return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()

    return labels


def print_rate() -> Callable[[int], None]:
    """Return a function that counts its calls, and prints the rate of every hundred."""
    began, done = time.monotonic(), 0

    def progress(number: int) -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            rate = done / (time.monotonic() - began)
            print(f"number {number}, {rate:.1f} per second", flush=True)

    return progress


def generate_faces(arguments: argparse.Namespace, device: torch.device) -> PrepareReport:
    """Draw faces and print the rate."""
    return generate(
        arguments.target,
        first=arguments.first,
        count=arguments.generate,
        network=load_mobile_stylegan().to(device),
        detector=load_detector(arguments.detector, device=device),
        config=GenerateConfig(truncation=tuple(arguments.truncation)),
        embedding_norm=embedding_norm(packaged_dlib_resnet(), device=device),
        on_face=print_rate(),
    )


def cut_films(arguments: argparse.Namespace, device: torch.device) -> None:
    """Write the clips of films, and print what they are."""
    report = prepare_clips(
        arguments.film,
        arguments.target,
        detector=load_detector(arguments.detector, device=device),
        embedding=face_embedding(packaged_dlib_resnet(), device=device),
        config=PrepareConfig(
            size_px=arguments.size, min_px=arguments.least, max_yaw_ratio=arguments.turned
        ),
        clip_config=ClipConfig(split=arguments.split),
    )
    for split, clips in report.clips.items():
        print(f"{split}: {clips} clips, {report.frames[split]} frames")
    print(f"{report.people} people")
    for reason, count in report.dropped.most_common():
        print(f"  {count:>6} {reason}")


def main() -> None:
    """Parse the command line and prepare the faces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source", type=Path, nargs="?", help="folder, or zip or tar archive, of photographs"
    )
    parser.add_argument("target", type=Path, help="new folder")
    parser.add_argument("--generate", type=int, metavar="N", help="draw N faces")
    parser.add_argument("--film", type=Path, action="append", help="cut clips; may be repeated")
    parser.add_argument(
        "--split",
        choices=["person", "shot"],
        default="person",
        help="what clips for testing must not share with those for training",
    )
    parser.add_argument("--shards", type=int, metavar="N", help="pack N faces into each archive")
    parser.add_argument("--first", type=int, default=0, help="number of the first face")
    parser.add_argument(
        "--truncation", type=float, nargs=2, default=(0.6, 0.95), help="minimum and maximum variety"
    )
    parser.add_argument(
        "--size", type=int, default=CROP_SIZE_PX, help="side of an aligned face, in pixels"
    )
    parser.add_argument(
        "--least", type=int, default=192, help="minimum effective resolution, in pixels"
    )
    parser.add_argument(
        "--turned",
        type=float,
        help="maximum offset of the nose from the middle of the eyes, in eye distances (0.35 is 45 "
        "degrees); by default faces of any pose are kept",
    )
    parser.add_argument("--detector", choices=DETECTORS, default="mtcnn")
    parser.add_argument(
        "--landmarks",
        type=Path,
        help="FFHQ's ffhq-dataset-v2.json: boxes of eyes and mouth follow its 68 landmarks",
    )
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument(
        "--parser", type=Path, help="write masks with this checkpoint of a face parser"
    )
    masks.add_argument(
        "--masks",
        type=Path,
        help="folder of PNGs of classes, named as the photographs; only the largest face is taken",
    )
    masks.add_argument(
        "--celebamask",
        choices=get_args(Split),
        help="the source is CelebAMask-HQ as published: take this split, with the masks of parts",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, help="default: one for every core; on a GPU one")
    arguments = parser.parse_args()
    try:
        device = resolve_device(arguments.device)
        if arguments.generate is not None:
            if arguments.source is not None:
                parser.error("--generate takes no photographs: name only the new folder")
            report = generate_faces(arguments, device)
            _print_report(report, arguments.target)
            return
        if arguments.film is not None:
            if arguments.source is not None:
                parser.error("--film takes no photographs: name only the new folder")
            cut_films(arguments, device)
            return
        if arguments.source is None:
            parser.error("name a folder of photographs, --film FILM or --generate N")
        if arguments.shards is not None:
            if arguments.shards < 1:
                parser.error("--shards must be 1 or more")
            count = write_shards(
                arguments.source, arguments.target, faces_per_shard=arguments.shards
            )
            print(f"{count} shards in {arguments.target}")
            return
        # On a GPU one process keeps it busy.
        processes = arguments.processes or (1 if device.type != "cpu" else os.cpu_count() or 1)
        if processes > 1 and device.type != "cpu":
            parser.error("--processes needs --device cpu")
        labels: LabelSource | None = None
        images: list[Path] | None = None
        if arguments.parser is not None:
            labels = labels_from_parser(arguments.parser, device)
        elif arguments.masks is not None:
            labels = labels_from_images(arguments.masks)
        elif arguments.celebamask is not None:
            images = photographs(arguments.source, arguments.celebamask)
            labels = labels_from_celebamask(arguments.source)
        report = prepare_faces(
            arguments.source,
            arguments.target,
            detector=load_detector(arguments.detector, device=device),
            config=PrepareConfig(
                size_px=arguments.size,
                min_px=arguments.least,
                max_yaw_ratio=arguments.turned,
                largest_only=arguments.masks is not None or arguments.celebamask is not None,
            ),
            labels=labels,
            images=images,
            landmarks=None
            if arguments.landmarks is None
            else landmarks_from_ffhq(arguments.landmarks),
            processes=processes,
            on_image=print_rate(),
        )
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    _print_report(report, arguments.target)


def _print_report(report: PrepareReport, target: Path) -> None:
    print(f"{report.images} images, {report.kept} faces kept in {target}")
    for reason, count in report.dropped.most_common():
        print(f"  {count:>6} ({100 * count / report.images:.1f} %) {reason}")


if __name__ == "__main__":
    main()
