"""Export the weights of a training run for use or publication.

    python scripts/export.py runs/gfpgan_512/last.pt gfpgan.safetensors
    python scripts/export.py runs/stylegan2_512/last.pt prior.pth --network discriminator --half

The moving average is exported, or the network itself if the run keeps no average. A ``.pth`` file
has the tensors under ``params_ema``, as published files do. ``vidrestore --model FILE`` uses an
exported restorer (a PSFR-GAN generator together with the published parser). Training configs name
exported parsers and priors.
"""

import argparse
import sys
from pathlib import Path

from vidrestore.errors import VidrestoreError
from vidrestore.training.export import export


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="last.pt of a run")
    parser.add_argument("out", type=Path, help="new file, .safetensors or .pth")
    parser.add_argument("--network", "--part", help="generator, discriminator, parser, ...; "
                        "default: the first with a moving average")  # fmt: skip
    parser.add_argument("--half", action="store_true", help="write float16, half the size")
    arguments = parser.parse_args()
    try:
        info = export(
            arguments.checkpoint, arguments.out, network=arguments.network, half=arguments.half
        )
    except (VidrestoreError, OSError) as error:
        sys.exit(f"error: {error}")
    size = arguments.out.stat().st_size / 1e6
    print(
        f"{arguments.out}: {info.network} of {info.system}, {info.weights} after "
        f"{info.step} steps, {size:.1f} MB"
    )


if __name__ == "__main__":
    main()
