"""``vidrestore train`` as a script.

On several GPUs: ``torchrun --nproc-per-node 4 scripts/train.py CONFIG FOLDER``.
"""

from vidrestore.cli import entry_point

if __name__ == "__main__":
    entry_point("train")
