"""Graph attention layers of AASIST (Jung et al., ICASSP 2022): nodes `(B, N, D)` to nodes.

Tensor names are those of the published state dicts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_DROP = 0.2


def _vector(width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(width, 1)))


def _pairwise(nodes: Tensor) -> Tensor:
    """The product of every two nodes: `(B, N, D)` to `(B, N, N, D)`."""
    return nodes[:, :, None] * nodes[:, None]


def _norm_selu(norm: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    return F.selu(norm(nodes.flatten(0, 1)).view_as(nodes))


class GraphAttention(nn.Module):
    """Attention over the nodes of one kind, softened by `temperature`."""

    def __init__(self, width: int, out: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.att_proj = nn.Linear(width, out)
        self.att_weight = _vector(out)
        self.proj_with_att = nn.Linear(width, out)
        self.proj_without_att = nn.Linear(width, out)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = F.dropout(nodes, INPUT_DROP, self.training)
        scores = torch.tanh(self.att_proj(_pairwise(nodes))) @ self.att_weight
        attention = (scores / self.temperature).softmax(-2).squeeze(-1)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return _norm_selu(self.bn, mixed)


class HeterogeneousAttention(nn.Module):
    """Attention over nodes of two kinds and one master node that listens to all of them."""

    def __init__(self, width: int, out: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.proj_type1, self.proj_type2 = nn.Linear(width, width), nn.Linear(width, width)
        self.att_proj, self.att_projM = nn.Linear(width, out), nn.Linear(width, out)
        self.att_weight11, self.att_weight22 = _vector(out), _vector(out)
        self.att_weight12, self.att_weightM = _vector(out), _vector(out)
        self.proj_with_att, self.proj_without_att = nn.Linear(width, out), nn.Linear(width, out)
        self.proj_with_attM, self.proj_without_attM = nn.Linear(width, out), nn.Linear(width, out)
        self.bn = nn.BatchNorm1d(out)

    def forward(
        self, first: Tensor, second: Tensor, master: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes `(B, N1, D)`, `(B, N2, D)` and master `(B, 1, D)` to the same with D'."""
        count = first.shape[1]
        nodes = torch.cat([self.proj_type1(first), self.proj_type2(second)], 1)
        nodes = F.dropout(nodes, INPUT_DROP, self.training)
        attention = self._attention(nodes, count)
        master = self._listen(nodes, master)
        nodes = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        nodes = _norm_selu(self.bn, nodes)
        return nodes[:, :count], nodes[:, count:], master

    def _attention(self, nodes: Tensor, count: int) -> Tensor:
        """`(B, N, N)`: within each kind its own weights, across kinds a third."""
        hidden = torch.tanh(self.att_proj(_pairwise(nodes)))
        own = torch.cat([self.att_weight11, self.att_weight22, self.att_weight12], 1)
        one, two, across = (hidden @ own).unbind(-1)  # (B, N, N) each
        is_second = torch.arange(nodes.shape[1], device=nodes.device) >= count
        scores = torch.where(is_second[:, None] & is_second, two, one)
        scores = torch.where(is_second[:, None] ^ is_second, across, scores)
        return (scores / self.temperature).softmax(-1)

    def _listen(self, nodes: Tensor, master: Tensor) -> Tensor:
        scores = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM  # (B, N, 1)
        attention = (scores / self.temperature).softmax(1).transpose(1, 2)
        return self.proj_with_attM(attention @ nodes) + self.proj_without_attM(master)


class GraphPool(nn.Module):
    """The `share` of the nodes with the highest gates, each scaled by its gate."""

    def __init__(self, width: int, share: float, drop: float = 0.3) -> None:
        super().__init__()
        self.share, self.drop = share, drop
        self.proj = nn.Linear(width, 1)

    def forward(self, nodes: Tensor) -> Tensor:
        gates = torch.sigmoid(self.proj(F.dropout(nodes, self.drop, self.training)))
        kept = max(int(nodes.shape[1] * self.share), 1)
        chosen = gates.topk(kept, dim=1).indices.expand(-1, -1, nodes.shape[2])
        return (nodes * gates).gather(1, chosen)
