"""Write the weights of a run as a file that can be used and published.

    python scripts/export.py runs/gfpgan_512/last.pt gfpgan.safetensors
    python scripts/export.py runs/stylegan2_512/last.pt prior.pth --part discriminator --half

Takes the moving average (the network itself of a part that keeps none). ``.pth`` has the tensors
under ``params_ema``, as published files do. Restorers are then used by ``vidrestore --model FILE``
(a PSFR-GAN generator there gets the published parser); parsers and priors are named in training
configs.
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
    parser.add_argument("--part", help="generator, discriminator, parser, ...; default: the first "
                        "with a moving average")  # fmt: skip
    parser.add_argument("--half", action="store_true", help="16-bit numbers, half the size")
    arguments = parser.parse_args()
    try:
        exported = export(
            arguments.checkpoint, arguments.out, part=arguments.part, half=arguments.half
        )
    except (VidrestoreError, OSError) as error:
        sys.exit(f"error: {error}")
    size = arguments.out.stat().st_size / 1e6
    print(
        f"{arguments.out}: {exported.part} of {exported.system}, {exported.weights} after "
        f"{exported.step} steps, {size:.1f} MB"
    )


if __name__ == "__main__":
    main()
