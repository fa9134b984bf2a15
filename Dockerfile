# The steps of the README: install from the checkout, run. PyTorch is for the CPU;
# --build-arg TORCH_INDEX=https://pypi.org/simple takes the one with CUDA (run with --gpus all).
FROM python:3.12-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# OpenCV's wheel needs these two libraries; their newest repairs are wanted, so no version is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY vidrestore vidrestore
COPY man man
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" .

# Downloaded checkpoints: mount a volume here to keep them.
ENV VIDRESTORE_WEIGHTS=/weights
RUN useradd --create-home --uid 1000 vidrestore && install -d -m 1777 /weights /films
USER 1000
WORKDIR /films
ENTRYPOINT ["vidrestore"]
CMD ["--help"]
