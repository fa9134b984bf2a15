"""The exponential moving average of a network."""

import torch
from torch import nn

from vidrestore.models.psfrgan.convolution import SpectralConvolution
from vidrestore.training.engine.ema import Ema


def test_the_average_of_a_spectral_norm_is_a_spectral_norm() -> None:
    torch.manual_seed(0)
    network = SpectralConvolution(in_channels=6, out_channels=8, bias=False, doubles=False)
    ema = Ema(network)
    for _ in range(60):
        with torch.no_grad():
            network.weight_orig.add_(0.01 * torch.randn_like(network.weight_orig))
        network.train().kernel()
        ema.update(network, decay=0.9)
    network.load_state_dict(ema.state)

    kernel = network.eval().kernel().detach().flatten(1)
    torch.testing.assert_close(network.weight_u.norm(), torch.tensor(1.0))
    torch.testing.assert_close(
        torch.linalg.matrix_norm(kernel, 2), torch.tensor(1.0), rtol=0.02, atol=0
    )


def test_weights_and_running_statistics_are_averaged_and_counts_are_copied() -> None:
    network = nn.BatchNorm1d(1)
    ema = Ema(network)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(2.0)  # type: ignore[union-attr]
        network.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    ema.update(network, decay=0.5)

    assert ema.state["weight"].item() == 2.0
    assert ema.state["running_mean"].item() == 1.0
    assert ema.state["num_batches_tracked"].item() == 7
