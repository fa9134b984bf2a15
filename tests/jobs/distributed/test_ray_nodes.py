"""Ray clusters that lose a node, and GPUs that workers share."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.cheap import load_cheap, work_in_small_steps
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.pipeline import setup as prepared
from vidrestore.progress import Progress

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
TESTS = Path(__file__).parents[2]


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """A node of this process, without cores, and two that can be killed, with a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
    monkeypatch.setattr(prepared, "load_restorer", load_cheap)
    store = {"object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **store})
    nodes = [cluster.add_node(num_cpus=1, **store) for _ in range(2)]
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"worker_process_setup_hook": work_in_small_steps},
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cluster.wait_for_nodes()
    yield [cluster, *nodes]
    torch.set_num_threads(threads)
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters of one machine on Linux only")
def test_a_film_is_restored_though_a_node_is_killed(
    two_nodes: list[object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster, *nodes = two_nodes
    clip = Clip(size_hw=FACE_SIZE_HW, ticks=tuple(range(40)), picture=face_picture)
    film = make_clip(tmp_path / "film.mkv", clip)
    expected = restore_video(
        film, tmp_path / "whole.mkv", settings=SETTINGS, job=JobSettings(segment_seconds=0.1)
    )
    killed: list[object] = []

    def on_progress(progress: Progress) -> None:
        # Two workers are at work: one on each node.
        if progress.workers == 2 and not killed:
            killed.append(nodes[0])
            cluster.remove_node(nodes[0], allow_graceful=False)  # type: ignore[attr-defined]

    caplog.set_level(logging.INFO, logger="vidrestore")
    report = restore_video(
        film,
        tmp_path / "out.mkv",
        settings=SETTINGS,
        job=JobSettings(segment_seconds=0.1, engine="ray"),
        on_progress=on_progress,
    )
    assert killed
    assert sum(node["Alive"] for node in ray.nodes()) == 2
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert (report.frames, report.segments) == (expected.frames, expected.segments)
