"""Device and precision of a run; torch is imported only when they are resolved."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from vidrestore.errors import DeviceError

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
R = TypeVar("R")

BATCH_SIZE: Mapping[str, int] = MappingProxyType({"cpu": 4, "cuda": 16})
"""Type of device -> faces per call of a network, by default."""

_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
_BF16_QUERIES = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
_FREE_MEMORY = "free memory, or choose a smaller --batch-size or another --device"
_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)


def resolve_device(name: str) -> "torch.device":
    """Return the device called ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        DeviceError: The name is none of these, or there is no such GPU.
    """
    import torch

    if name == "cpu":
        return torch.device("cpu")
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        raise DeviceError(f"unknown device {name!r}; choose from: auto, cpu, cuda, cuda:N")
    gpu_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(number or 0)
    if not gpu_count:
        built = torch.version.cuda or torch.version.hip
        why = "torch finds no GPU or driver" if built else "this torch is built for CPU only"
        raise DeviceError(f"device {name!r} is not available: {why}; use --device cpu")
    if index >= gpu_count:
        last = (
            "cuda:0 is the only GPU"
            if gpu_count == 1
            else f"the GPUs are cuda:0 to cuda:{gpu_count - 1}"
        )
        raise DeviceError(f"device {name!r} is not available: {last}; choose one of them")
    return torch.device("cuda", index)


def gpu_number(name: str) -> int:
    """Return the number of the GPU beside a device: of the first one, unless it is ``cuda:N``."""
    number = name.rpartition(":")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def resolve_precision(name: str, device: "torch.device") -> "torch.dtype":
    """Return the number format that networks run in on ``device``.

    ``auto`` is bf16 if the device multiplies it at full speed (CPU with AMX or AVX-512 BF16, GPU
    with compute capability 8 or later), else fp32. bf16 may be requested on any device.

    Raises:
        DeviceError: The name is unknown, or fp16 is requested on a CPU.
    """
    import torch

    if name == "auto":
        return torch.bfloat16 if _has_fast_bf16(device) else torch.float32
    if name == "fp32":
        return torch.float32
    if name == "bf16":
        return torch.bfloat16
    if name != "fp16":
        raise DeviceError(f"unknown precision {name!r}; choose from: auto, fp32, bf16, fp16")
    if device.type == "cpu":
        raise DeviceError("precision fp16 is for GPUs; on a CPU use --precision bf16 or fp32")
    return torch.float16


def _has_fast_bf16(device: "torch.device") -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _cpu_multiplies_bf16()


def _cpu_multiplies_bf16() -> bool:
    import torch

    # torch has no public query for AMX and AVX-512 BF16; the kernel's CPU flags are the fallback.
    queries = [getattr(torch.cpu, name, None) for name in _BF16_QUERIES]
    if all(map(callable, queries)):
        return any(bool(query()) for query in queries if callable(query))
    try:
        flags = _CPU_INFO.read_text(encoding="ascii", errors="replace").split()
    except OSError:  # not Linux
        return False
    return not _BF16_FLAGS.isdisjoint(flags)


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, of the machine or of a GPU.

    PyTorch has an exception class for GPUs; elsewhere only the message says so.
    """
    # Compared by name, so that torch need not be imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)


def retry_out_of_memory(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function again with the memory that PyTorch keeps on GPUs released.

    For steps that need little memory beside the restorer, whose batches shrink by themselves.

    Raises:
        DeviceError: Memory ran out again.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # Released outside the handler, because the error keeps the tensors of the attempt alive.
        for last in (False, True):
            try:
                return function(*args, **kwargs)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if last:
                    raise DeviceError(f"{error}; {_FREE_MEMORY}") from error
            _release_cached_memory()
        raise AssertionError("unreachable")

    return run


def _release_cached_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def prepare_device(device: "torch.device") -> None:
    """Make convolutions on a GPU exact in float32 and the same in every run.

    PyTorch rounds them to TF32 by default, and cuDNN may choose algorithms that sum in any order.
    The settings are those of the process.
    """
    if device.type != "cuda":
        return
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def describe_device(device: "torch.device") -> str:
    """Return what results depend on besides the device's name: of a GPU, its model and cuDNN.

    Empty for a CPU.
    """
    if device.type != "cuda":
        return ""
    import torch

    return f"{torch.cuda.get_device_name(device)}, cuDNN {torch.backends.cudnn.version()}"
