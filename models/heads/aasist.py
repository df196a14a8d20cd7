"""AASIST's graphs, on SSL frames (Tak et al. 2022) and on sinc filters (Jung et al. 2022).

Image `(B, 1, S, F)` of S spectral rows -> six residual blocks -> spectral and temporal nodes ->
two stacks of heterogeneous graph attention with a master node -> readout `(B, 160)` -> 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.heads.graphs import GraphAttention, GraphPool, HeterogeneousAttention
from models.heads.interface import Head, whole_files

CHANNELS = ((1, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64))  # of the six blocks
NODE, GRAPH = 64, 32  # widths of nodes before and within the heterogeneous graphs
TEMPERATURE, GRAPH_TEMPERATURE = 2.0, 100.0
STACKS = ("1", "2")


class ResidualBlock(nn.Module):
    """Two convolutions over (spectrum, time) and a shortcut; `pool` then keeps every third frame.

    The published blocks compute a first batch norm and do not use it: its tensors are held.
    """

    def __init__(self, width: int, out: int, *, first: bool, pool: bool) -> None:
        super().__init__()
        self.pool = pool
        if not first:
            self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, out, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, (2, 3), padding=(0, 1))
        if width != out:
            self.conv_downsample = nn.Conv2d(width, out, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(F.selu(self.bn2(self.conv1(x))))
        out = out + (self.conv_downsample(x) if hasattr(self, "conv_downsample") else x)
        return F.max_pool2d(out, (1, 3)) if self.pool else out


class GraphHead(Head):
    """What both AASISTs share; subclasses make the image and the nodes from the encoder's map."""

    last = "out_layer"
    unused = tuple(f"encoder.{index}.0.bn1." for index in range(1, len(CHANNELS)))
    least = 3  # frames, so that a temporal node is left

    def __init__(self, rows: int, *, pool: bool, temporal_share: float) -> None:
        super().__init__()
        self.pos_S = nn.Parameter(torch.randn(1, rows, NODE))
        self.master1 = nn.Parameter(torch.randn(1, 1, NODE))
        self.master2 = nn.Parameter(torch.randn(1, 1, NODE))
        self.first_bn = nn.BatchNorm2d(1)
        blocks = (
            nn.Sequential(ResidualBlock(*channels, first=index == 0, pool=pool))
            for index, channels in enumerate(CHANNELS)
        )
        self.encoder = nn.Sequential(*blocks)
        self.GAT_layer_S = GraphAttention(NODE, NODE, TEMPERATURE)
        self.GAT_layer_T = GraphAttention(NODE, NODE, TEMPERATURE)
        self.pool_S, self.pool_T = GraphPool(NODE, 0.5), GraphPool(NODE, temporal_share)
        for stack in STACKS:
            for step, width in (("1", NODE), ("2", GRAPH)):
                layer = HeterogeneousAttention(width, GRAPH, GRAPH_TEMPERATURE)
                self.add_module(f"HtrgGAT_layer_ST{stack}{step}", layer)
            self.add_module(f"pool_hS{stack}", GraphPool(GRAPH, 0.5))
            self.add_module(f"pool_hT{stack}", GraphPool(GRAPH, 0.5))
        self.out_layer = nn.Linear(5 * GRAPH, 2)

    def image(self, frames: Tensor) -> Tensor:
        """`(B, F, D)` to `(B, 1, S, F')`."""
        raise NotImplementedError

    def nodes(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 64, S, F')` to spectral `(B, S, 64)` and temporal nodes `(B, F', 64)`."""
        raise NotImplementedError

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        frames = hidden[-1].float()
        return whole_files(
            self._whole, frames, frame_lengths, least=self.least, training=self.training
        )

    def _whole(self, frames: Tensor) -> Tensor:
        encoded = self.encoder(F.selu(self.first_bn(self.image(frames))))
        spectral, temporal = self.nodes(encoded)
        spectral = self.pool_S(self.GAT_layer_S(spectral + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        stacks = [self._stack(stack, temporal, spectral) for stack in STACKS]
        temporal, spectral, master = (torch.maximum(*pair) for pair in zip(*stacks, strict=True))
        parts = [part for n in (temporal, spectral) for part in (n.abs().amax(1), n.mean(1))]
        return torch.cat([*parts, master[:, 0]], 1)

    def classify(self, embedding: Tensor) -> Tensor:
        return self.out_layer(F.dropout(embedding, 0.5, self.training))

    def _stack(self, stack: str, temporal: Tensor, spectral: Tensor) -> list[Tensor]:
        master = getattr(self, f"master{stack}").expand(len(temporal), -1, -1)
        first, second = (getattr(self, f"HtrgGAT_layer_ST{stack}{step}") for step in "12")
        temporal, spectral, master = first(temporal, spectral, master)
        spectral = getattr(self, f"pool_hS{stack}")(spectral)
        temporal = getattr(self, f"pool_hT{stack}")(temporal)
        before = (temporal, spectral, master)
        after = second(temporal, spectral, master)
        summed = (a + b for a, b in zip(before, after, strict=True))
        return [F.dropout(nodes, 0.2, self.training) for nodes in summed]


class Aasist(GraphHead):
    """On SSL frames: projected to 128 rows, 3 x 3 max pooling, nodes by attention over the map."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__(rows=128 // 3, pool=False, temporal_share=0.5)
        self.LL = nn.Linear(width, 128)
        self.first_bn1 = nn.BatchNorm2d(NODE)
        self.attention = nn.Sequential(
            nn.Conv2d(NODE, 128, 1), nn.SELU(), nn.BatchNorm2d(128), nn.Conv2d(128, NODE, 1)
        )

    def image(self, frames: Tensor) -> Tensor:
        return F.max_pool2d(self.LL(frames).transpose(1, 2)[:, None], 3)

    def nodes(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        encoded = F.selu(self.first_bn1(encoded))
        weights = self.attention(encoded)
        spectral = (encoded * weights.softmax(-1)).sum(-1)
        temporal = (encoded * weights.softmax(-2)).sum(-2)
        return spectral.transpose(1, 2), temporal.transpose(1, 2)


class WaveformAasist(GraphHead):
    """On the outputs of 70 sinc filters: magnitudes, 3 x 3 max pooling, nodes by the largest."""

    reads_filters = True
    least = 3**7  # filter outputs: each block keeps every third frame

    def __init__(self, width: int, layers: int) -> None:
        super().__init__(rows=width // 3, pool=True, temporal_share=0.7)

    def image(self, frames: Tensor) -> Tensor:
        return F.max_pool2d(frames.transpose(1, 2).abs()[:, None], 3)

    def nodes(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        magnitude = encoded.abs()
        return magnitude.amax(3).transpose(1, 2), magnitude.amax(2).transpose(1, 2)
