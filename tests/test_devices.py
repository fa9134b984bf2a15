from pathlib import Path

import pytest
import torch

from vidrestore import devices
from vidrestore.devices import (
    describe_device,
    prepare_device,
    resolve_device,
    resolve_precision,
    retry_out_of_memory,
)
from vidrestore.errors import DeviceError

CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    count: int = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize("gpus", [0], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_auto_is_the_cpu_without_a_gpu() -> None:
    assert resolve_device("auto") == CPU


@pytest.mark.parametrize("gpus", [2], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_auto_is_the_first_gpu_if_there_is_one() -> None:
    assert resolve_device("auto") == GPU
    assert resolve_device("cuda") == GPU
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("gpus", [0], indirect=True)
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
@pytest.mark.usefixtures("gpus")
def test_a_missing_gpu_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{name}' is not available.*--device cpu"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("gpus", "here"), [(1, "cuda:0 is the only"), (3, "cuda:0 to cuda:2")], indirect=["gpus"]
)
@pytest.mark.usefixtures("gpus")
def test_a_gpu_number_too_high_is_an_error_that_names_the_gpus(here: str) -> None:
    with pytest.raises(DeviceError, match=here):
        resolve_device("cuda:7")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "mps", "", "CPU"])
def test_an_unknown_device_names_the_choices(name: str) -> None:
    with pytest.raises(DeviceError, match="choose from: auto, cpu, cuda, cuda:N"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("amx", "avx512", "dtype"),
    [
        (True, True, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ],
)
def test_auto_precision_on_a_cpu_is_bf16_only_with_hardware_support(
    amx: bool, avx512: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)

    assert resolve_precision("auto", CPU) == dtype


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("fpu amx_bf16 amx_tile", torch.bfloat16),
        ("fpu avx512f avx512_bf16", torch.bfloat16),
        ("fpu avx512f avx512_vnni", torch.float32),
    ],
)
@pytest.mark.parametrize("query", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_cpu_features_unknown_to_torch_are_read_from_the_kernel(
    query: str, flags: str, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, query, raising=False)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "cpuinfo")
    assert resolve_precision("auto", CPU) == dtype

    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "absent")
    assert resolve_precision("auto", CPU) == torch.float32


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_auto_precision_on_a_gpu_is_bf16_only_with_hardware_support(
    capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    assert resolve_precision("auto", GPU) == dtype


def test_a_requested_precision_is_used() -> None:
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert resolve_precision("fp16", GPU) == torch.float16


def test_fp16_on_a_cpu_and_unknown_precisions_are_refused() -> None:
    with pytest.raises(DeviceError, match="fp16 is for GPUs"):
        resolve_precision("fp16", CPU)
    with pytest.raises(DeviceError, match="choose from: auto, fp32, bf16, fp16"):
        resolve_precision("float32", CPU)


def test_a_step_out_of_memory_is_repeated_after_releasing_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: events.append("released"))

    @retry_out_of_memory
    def step(value: int) -> int:
        events.append("ran")
        if len(events) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return value

    assert step(3) == 3
    assert events == ["ran", "released", "ran"]


def test_a_step_out_of_memory_twice_is_an_error_that_says_what_to_do() -> None:
    @retry_out_of_memory
    def step() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with pytest.raises(DeviceError, match=r"Tried to allocate 2 GiB; free memory, or choose"):
        step()


def test_a_step_that_fails_for_another_reason_is_not_retried() -> None:
    runs: list[int] = []

    @retry_out_of_memory
    def step() -> None:
        runs.append(1)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        step()
    assert runs == [1]


def test_float32_on_a_gpu_is_exact_and_deterministic() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic
    try:
        cudnn.allow_tf32 = matmul.allow_tf32 = cudnn.benchmark = True
        cudnn.deterministic = False
        prepare_device(CPU)
        assert cudnn.allow_tf32

        prepare_device(GPU)
        assert [cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark] == [False] * 3
        assert cudnn.deterministic
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


def test_a_gpu_is_described_by_its_model_and_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    assert describe_device(GPU) == "NVIDIA H100, cuDNN 91002"
    assert describe_device(CPU) == ""
