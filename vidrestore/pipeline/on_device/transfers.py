"""Copies between the memory of the machine and a device, which nothing waits for until it must."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """Return a small array on a device; 16-bit samples as the ``int16`` of the same bits.

    On a GPU the copy is asynchronous, from pinned memory, on the current stream.
    """
    if array.dtype == np.uint16:
        array = array.view(np.int16)
    host = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


def upload_images(images: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return images on a device, of which those in the machine's memory are copied together."""
    moved = list(images)
    places = [place for place, image in enumerate(images) if image.device != device]
    for shape in dict.fromkeys(images[place].shape for place in places):
        same = [place for place in places if images[place].shape == shape]
        host = torch.stack([images[place] for place in same])
        pinned = host.pin_memory() if device.type == "cuda" else host
        for place, image in zip(same, pinned.to(device, non_blocking=True), strict=True):
            moved[place] = image
    return moved


class Uploader:
    """Uploads planes on a stream beside the one that computes, where the device has streams."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def stacked(self, arrays: Sequence[NDArray[np.generic]]) -> Tensor:
        """Return arrays of one shape, uint8 or uint16, as one tensor; copied once.

        Whatever is started on the current stream later waits for the copy, the host does not.
        """
        bits = np.uint8 if arrays[0].dtype == np.uint8 else np.int16
        dtype = torch.uint8 if bits is np.uint8 else torch.int16
        shape = (len(arrays), *arrays[0].shape)
        host = torch.empty(shape, dtype=dtype, pin_memory=self._stream is not None)
        target = host.numpy()
        for index, array in enumerate(arrays):
            target[index] = array.view(bits)
        if self._stream is None:
            return host.to(self.device)
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._stream):
            copy = host.to(self.device, non_blocking=True)
        current.wait_stream(self._stream)
        copy.record_stream(current)
        return copy


class Download:
    """A copy of tensors to the memory of the machine, which may still be under way."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        """Start to copy; the tensors must all be on one device, and not change any more."""
        self._event: torch.cuda.Event | None = None
        if not tensors or tensors[0].device.type != "cuda":
            self._hosts = [tensor.contiguous() for tensor in tensors]
            return
        self._hosts = [
            torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors
        ]
        for host, tensor in zip(self._hosts, tensors, strict=True):
            host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(tensors[0].device))

    def wait(self) -> list[Tensor]:
        """Return the copies; on a GPU, the only wait of a batch."""
        if self._event is not None:
            self._event.synchronize()
        return self._hosts
