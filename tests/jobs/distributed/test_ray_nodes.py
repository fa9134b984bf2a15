"""A Ray cluster that loses one of its nodes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import load_fake_restorer, speed_up_worker

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.pipeline import setup
from vidrestore.progress import Progress

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
TESTS = Path(__file__).parents[2]


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A cluster of two nodes with a core each; the second can be killed."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)
    threads = torch.get_num_threads()
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster: Any = Cluster(
        initialize_head=True, head_node_args={**node, "include_dashboard": False}
    )
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"worker_process_setup_hook": speed_up_worker},
        )
        torch.set_num_threads(1)  # as each worker
        yield cluster, second
    finally:
        torch.set_num_threads(threads)
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters of one machine on Linux only")
def test_a_run_survives_the_loss_of_a_ray_node(two_nodes: tuple[Any, Any], tmp_path: Path) -> None:
    cluster, second = two_nodes
    clip = Clip(size_hw=FACE_SIZE_HW, ticks=tuple(range(90)), picture=face_picture)
    film = make_clip(tmp_path / "film.mkv", clip)
    expected = restore_video(
        film, tmp_path / "whole.mkv", settings=SETTINGS, job=JobSettings(segment_seconds=0.1)
    )
    is_killed = False

    def on_progress(progress: Progress) -> None:
        nonlocal is_killed
        # Two tasks run: one on each node.
        if progress.workers == 2 and not is_killed:
            is_killed = True
            cluster.remove_node(second, allow_graceful=False)

    report = restore_video(
        film,
        tmp_path / "out.mkv",
        settings=SETTINGS,
        job=JobSettings(segment_seconds=0.1, engine="ray"),
        on_progress=on_progress,
    )
    assert is_killed
    cluster.wait_for_nodes()  # until the cluster has noticed
    assert sum(node["Alive"] for node in ray.nodes()) == 1
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert (report.frames, report.segments) == (expected.frames, expected.segments)
