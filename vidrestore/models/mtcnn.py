"""The three networks of MTCNN: layers and arithmetic only.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016, figure 2.

Three changes keep the results and save work: the two-class softmax is folded into one logit
(the difference of the classes), the heads of a network are one layer, and the 10 channels of
the first network's first layer are padded with zeros to 16, which suits vector units.
"""

from typing import NamedTuple

from torch import Tensor, nn

# Shape letters in this file: N crops or images, H/W rows and columns.

PROPOSAL_WINDOW_PX = 12
"""Side of the square that one cell of the proposal map sees."""
PROPOSAL_STRIDE_PX = 2
REFINE_INPUT_PX = 24
OUTPUT_INPUT_PX = 48


class Proposals(NamedTuple):
    """A map of candidate windows, one cell every ``PROPOSAL_STRIDE_PX``."""

    face_logits: Tensor
    """``(N, h, w)``: log odds that the window holds a face."""
    box_offsets: Tensor
    """``(N, 4, h, w)``: shifts of left, top, right, bottom in units of the window."""


class RefinedBoxes(NamedTuple):
    """Scores and corrections of candidate windows."""

    face_logits: Tensor
    """``(N,)``: log odds that the window holds a face."""
    box_offsets: Tensor
    """``(N, 4)``: shifts of left, top, right, bottom in units of the crop."""


class LandmarkedBoxes(NamedTuple):
    """Scores and corrections of windows, with five landmarks."""

    face_logits: Tensor
    """``(N,)``."""
    box_offsets: Tensor
    """``(N, 4)``: shifts of left, top, right, bottom in units of the crop."""
    landmarks: Tensor
    """``(N, 5, 2)``: x and y in units of the crop, from its left top corner; left eye,
    right eye, nose, left and right mouth corner, as seen."""


def _pool(kernel_px: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_px, stride=2, ceil_mode=True)


class ProposalNet(nn.Module):
    """P-Net: fully convolutional; proposes windows on one level of an image pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 16, 3), nn.PReLU(16), _pool(2)),
            *(nn.Conv2d(16, 16, 3), nn.PReLU(16)),
            *(nn.Conv2d(16, 32, 3), nn.PReLU(32)),
        )
        self.head = nn.Conv2d(32, 1 + 4, 1)

    def forward(self, images: Tensor) -> Proposals:
        """Search ``(N, 3, H, W)`` RGB images in [-1, 1] with sides of 12 px or more."""
        out = self.head(self.features(images))
        return Proposals(out[:, 0], out[:, 1:])


class RefineNet(nn.Module):
    """R-Net: scores and corrects candidate windows."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 28, 3), nn.PReLU(28), _pool(3)),
            *(nn.Conv2d(28, 48, 3), nn.PReLU(48), _pool(3)),
            *(nn.Conv2d(48, 64, 2), nn.PReLU(64)),
            *(nn.Flatten(), nn.Linear(576, 128), nn.PReLU(128)),
        )
        self.head = nn.Linear(128, 1 + 4)

    def forward(self, crops: Tensor) -> RefinedBoxes:
        """Score ``(N, 3, 24, 24)`` RGB crops in [-1, 1]."""
        out = self.head(self.features(crops))
        return RefinedBoxes(out[:, 0], out[:, 1:])


class OutputNet(nn.Module):
    """O-Net: scores and corrects windows and finds five landmarks in them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 32, 3), nn.PReLU(32), _pool(3)),
            *(nn.Conv2d(32, 64, 3), nn.PReLU(64), _pool(3)),
            *(nn.Conv2d(64, 64, 3), nn.PReLU(64), _pool(2)),
            *(nn.Conv2d(64, 128, 2), nn.PReLU(128)),
            *(nn.Flatten(), nn.Linear(1152, 256), nn.PReLU(256)),
        )
        self.head = nn.Linear(256, 1 + 4 + 10)

    def forward(self, crops: Tensor) -> LandmarkedBoxes:
        """Score ``(N, 3, 48, 48)`` RGB crops in [-1, 1]."""
        out = self.head(self.features(crops))
        landmarks = out[:, 5:].unflatten(1, (2, 5)).transpose(1, 2)
        return LandmarkedBoxes(out[:, 0], out[:, 1:5], landmarks)


class Mtcnn(nn.Module):
    """The cascade's three networks, which one checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.proposal = ProposalNet()
        self.refine = RefineNet()
        self.output = OutputNet()
