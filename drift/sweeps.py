"""The two passes that measure several distances under all relabellings at once.

A relabelling changes neither the order of the pooled values in a dimension nor the distance
between two rows. So each dimension is sorted once, and each block of the distance matrix is made
once; B relabellings then cost a cumulative sum and a matrix product. Blocks bound the memory.
Torch does the arithmetic, on a GPU where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from drift.device import chosen_device

# Elements a block of work may hold: 64 MB of float32 on a CPU, where a sort order's relabellings
# should stay near the cache; a GPU wants fewer, larger launches.
_CPU_ELEMENTS, _GPU_ELEMENTS = 1 << 24, 1 << 28
_SMOOTHING = 0.5  # added to each histogram bin (Jeffreys): a bin that no row hit is not infinite
NEIGHBOUR = 5  # k of the k-th nearest neighbour
_KEPT_MAX = 512  # pooled neighbours kept of each row


def _budget(tensor: torch.Tensor) -> int:
    return _GPU_ELEMENTS if tensor.is_cuda else _CPU_ELEMENTS


def sweep_ranks(
    coordinates: torch.Tensor,
    is_reference: torch.Tensor,
    *,
    wanted: frozenset[str],
    edges: torch.Tensor | None = None,
) -> dict[str, np.ndarray]:
    """The wanted of w1, ks, kl and js in each dimension, of all relabellings: (B + 1, D) each.

    `coordinates` (rows, D); `is_reference` (B + 1, rows) of 0 and 1; `edges` (bins - 1, D) the
    inner bin edges that kl and js stand on. With F and G the two empirical distributions, F - G
    is constant between neighbours of the pooled order: W1 = sum gap |F - G| and KS = max |F - G|,
    taken where a run of equal values ends.
    """
    labellings, rows = is_reference.shape
    dimensions = coordinates.shape[1]
    n = is_reference.sum(dim=1)
    step = max(1, min(dimensions, _budget(coordinates) // (2 * labellings * rows)))
    # One work buffer for all blocks: fresh ones of tens of megabytes cost more than the sums.
    buffer = torch.empty((labellings, step * rows), device=coordinates.device)
    taken = {
        name: torch.empty((labellings, dimensions), device=coordinates.device)
        for name in ("w1", "ks", "kl", "js")
        if name in wanted
    }
    for start in range(0, dimensions, step):
        block = slice(start, start + step)
        values, order = torch.sort(coordinates[:, block].T.contiguous(), dim=1)
        below = buffer[:, : order.numel()]
        torch.index_select(is_reference, 1, order.reshape(-1), out=below)
        below = below.view(labellings, -1, rows)
        # (B + 1, d, rows): reference rows up to each place of the pooled order, exact in float32
        torch.cumsum(below, dim=2, out=below)
        if "kl" in taken or "js" in taken:
            inner = edges[:, block].T.contiguous()
            for name, divergence in _divergences(below, values, inner, n).items():
                if name in taken:
                    taken[name][:, block] = divergence
        gaps = torch.diff(values, dim=1)  # (d, rows - 1)
        difference = _difference(below, n)
        if "w1" in taken:
            for d in range(len(gaps)):
                taken["w1"][:, start + d] = difference[:, d, :-1] @ gaps[d]
        if "ks" in taken:
            if not bool((gaps > 0).all()):  # inside a run of equal values F - G does not exist
                difference[:, :, :-1].mul_((gaps > 0).to(values.dtype))
            taken["ks"][:, block] = difference.amax(dim=2)
    return {name: values.cpu().numpy() for name, values in taken.items()}


def _difference(below: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    """|F - G| (B + 1, d, rows) from cumulative counts of the same shape, in their place."""
    rows = below.shape[2]
    m = rows - n
    # F - G = below / n - (place - below) / m
    place = torch.arange(1, rows + 1, device=below.device, dtype=below.dtype)
    if bool((m == m[0]).all()):
        incoming_share = (place / m[0]).view(1, 1, -1)
    else:
        incoming_share = place / m.view(-1, 1, 1)
    torch.addcmul(-incoming_share, below, (1 / n + 1 / m).view(-1, 1, 1), out=below)
    return below.abs_()


def _divergences(below, values, inner, n) -> dict[str, torch.Tensor]:
    """KL(incoming || reference) and Jensen-Shannon in nats, (B + 1, d), on the inner edges."""
    labellings, width, rows = below.shape
    place = torch.searchsorted(values, inner, right=True)  # (d, bins - 1) rows up to each edge
    index = (place - 1).clamp(min=0).expand(labellings, -1, -1)
    reference_below = below.gather(2, index) * (place > 0)
    total = n.view(-1, 1, 1)
    zero = torch.zeros_like(reference_below[:, :, :1])
    first = torch.diff(torch.cat([zero, reference_below, zero + total], dim=2), dim=2)
    everything = torch.diff(
        place, dim=1, prepend=torch.zeros_like(place[:, :1]), append=zero[0].long() + rows
    )
    second = everything - first
    bins = first.shape[2]
    p = (first + _SMOOTHING) / (total + bins * _SMOOTHING)
    q = (second + _SMOOTHING) / (rows - total + bins * _SMOOTHING)
    middle = (p + q) / 2
    kl = (q * (q / p).log()).sum(dim=2)
    js = ((p * (p / middle).log()).sum(dim=2) + (q * (q / middle).log()).sum(dim=2)) / 2
    return {"kl": kl, "js": js}


class _PairMeans:
    """Unbiased 2 E h(x, y) - E h(x, x') - E h(y, y') of all relabellings, h summed block by block.

    Off-diagonal sums only, so a constant added to h changes nothing: h is shifted by its mean
    (`_centred`), where float32 sums keep their digits.
    """

    def __init__(self, is_reference: torch.Tensor, sign: float) -> None:
        self.member, self.sign = is_reference.T.contiguous(), sign  # (rows, B + 1)
        self.within = torch.zeros(len(is_reference), dtype=torch.float64, device=self.member.device)
        self.to_all = torch.zeros_like(self.within)
        self.total = torch.zeros((), dtype=torch.float64, device=self.member.device)
        self.size = torch.zeros((), dtype=torch.float64, device=self.member.device)
        self.shift = 0.0

    def absorb(self, block: torch.Tensor, start: int) -> None:
        """Rows `start` and on of h (r, rows), with zeros on the diagonal of the whole matrix."""
        block, self.shift = _centred(block, start, self.shift)
        mine = self.member[start : start + len(block)]
        self.within += (mine * (block @ self.member)).sum(dim=0, dtype=torch.float64)
        row_sums = block.sum(dim=1, dtype=torch.float64)
        self.to_all += row_sums @ mine.double()
        self.total += row_sums.sum()
        self.size += block.abs().sum(dtype=torch.float64)

    def values(self) -> np.ndarray:
        n = self.member.sum(dim=0, dtype=torch.float64)
        m = len(self.member) - n
        across = self.to_all - self.within
        incoming = self.total - self.to_all - across
        contrast = 2 * across / (n * m) - self.within / (n * (n - 1)) - incoming / (m * (m - 1))
        typical = float(self.size) / (len(self.member) * max(len(self.member) - 1, 1))
        return without_rounding((self.sign * contrast).cpu().numpy(), typical)


def _centred(block: torch.Tensor, start: int, shift: float) -> tuple[torch.Tensor, float]:
    """The block less the mean of the first one, in its place; zeros stay on the diagonal.

    Rows that are all alike then have sums of zero, and not of one number's rounding.
    """
    if start == 0:
        shift = float(block.sum(dtype=torch.float64)) / max(block.numel() - len(block), 1)
    block.sub_(shift)
    diagonal = torch.arange(len(block), device=block.device)
    block[diagonal, start + diagonal] = 0
    return block, shift


def without_rounding(values: np.ndarray, typical: float) -> np.ndarray:
    """Contrasts of means of terms of `typical` size, less the digits that float32 makes up.

    Else rows that are all alike would show a distance: the rounding of one labelling's sums.
    """
    unit = 4e-6 * typical
    return np.round(values / unit) * unit if unit else values


def sweep_pairs(
    coordinates: torch.Tensor,
    is_reference: torch.Tensor,
    *,
    bandwidth: float,
    wanted: frozenset[str],
) -> dict[str, np.ndarray]:
    """The wanted of mmd, energy and knn of all relabellings, (B + 1,) float64 each.

    With knn comes `neighbour` (m,): each incoming row's distance to its k-th nearest reference
    row. The kernel is exp(-|x - y|^2 / (2 bandwidth^2)); the energy distance uses |x - y|.
    """
    mmd = _PairMeans(is_reference, -1.0) if "mmd" in wanted else None
    energy = _PairMeans(is_reference, 1.0) if "energy" in wanted else None
    neighbours = _Neighbours(is_reference) if "knn" in wanted else None
    for start, squared in _squared_blocks(coordinates):
        diagonal = torch.arange(len(squared), device=squared.device)
        if neighbours is not None:
            squared[diagonal, start + diagonal] = torch.inf  # no row is its own neighbour
            neighbours.absorb(squared, start)
        if mmd is not None:
            kernel = _kernel_of(squared, start, bandwidth)
            mmd.absorb(kernel, start)
            del kernel
        if energy is not None:
            distance = squared.sqrt_().sub_(bandwidth)
            distance[diagonal, start + diagonal] = 0
            energy.absorb(distance, start)
    taken = {}
    if mmd is not None:
        taken["mmd"] = mmd.values()
    if energy is not None:
        taken["energy"] = energy.values()
    if neighbours is not None:
        taken["knn"], taken["neighbour"] = neighbours.values(coordinates)
    return taken


def _squared_blocks(coordinates: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """First row and squared distances (r, rows) of block after block of rows."""
    square = coordinates.square().sum(dim=1)
    step = max(1, 2 * _budget(coordinates) // len(coordinates))
    for start in range(0, len(coordinates), step):
        squared = torch.addmm(square, coordinates[start : start + step], coordinates.T, alpha=-2)
        yield start, squared.add_(square[start : start + step, None]).clamp_(min=0)


def _kernel_of(squared: torch.Tensor, start: int, bandwidth: float) -> torch.Tensor:
    """The RBF kernel shifted to be near zero (`_PairMeans`), zero on the diagonal of the whole."""
    kernel = torch.exp(squared * (-0.5 / bandwidth**2)).sub_(float(np.exp(-0.5)))
    diagonal = torch.arange(len(squared), device=squared.device)
    kernel[diagonal, start + diagonal] = 0
    return kernel


def kernel_blocks(
    coordinates: torch.Tensor, bandwidth: float
) -> Iterator[tuple[int, torch.Tensor]]:
    """First row and centred kernel (r, rows) of block after block of rows, zero on the diagonal."""
    shift = 0.0
    for start, squared in _squared_blocks(coordinates):
        block, shift = _centred(_kernel_of(squared, start, bandwidth), start, shift)
        yield start, block


class _Neighbours:
    """Mean distance of incoming rows to their k-th nearest reference row, for all relabellings.

    Each row's nearest rows of the whole pool are kept, enough of them that k usually fall on the
    reference side; where they do not (a far cluster has only itself near), that row's distances
    to the reference are looked at in full. The result is exact either way.
    """

    def __init__(self, is_reference: torch.Tensor) -> None:
        self.is_reference = is_reference > 0
        labellings, rows = is_reference.shape
        share = float(is_reference.mean(dim=1).min())
        self.kept = min(rows - 1, _KEPT_MAX, int(3 * NEIGHBOUR / share) + 24)
        self.index = torch.empty((rows, self.kept), dtype=torch.int64, device=is_reference.device)
        self.squared = torch.empty((rows, self.kept), device=is_reference.device)

    def absorb(self, squared: torch.Tensor, start: int) -> None:
        near, index = torch.topk(squared, self.kept, dim=1, largest=False)
        self.squared[start : start + len(near)] = near
        self.index[start : start + len(near)] = index

    def values(self, coordinates: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        means, actual = [], None
        for labelling in self.is_reference:
            incoming = torch.nonzero(~labelling)[:, 0]
            hits = labelling[self.index[incoming]].cumsum(dim=1) >= NEIGHBOUR
            place = hits.int().argmax(dim=1, keepdim=True)
            distance = self.squared[incoming].gather(1, place)[:, 0].sqrt()
            short = torch.nonzero(~hits[:, -1])[:, 0]
            if len(short):
                distance[short] = self._in_full(coordinates, incoming[short], labelling)
            means.append(float(distance.double().mean()))
            actual = distance if actual is None else actual
        return np.array(means), actual.cpu().numpy()

    @staticmethod
    def _in_full(coordinates, rows, labelling) -> torch.Tensor:
        reference = coordinates[labelling]
        step = max(1, _budget(coordinates) // len(reference))
        parts = []
        for start in range(0, len(rows), step):
            block = torch.cdist(coordinates[rows[start : start + step]], reference)
            parts.append(block.kthvalue(NEIGHBOUR, dim=1).values)
        return torch.cat(parts)


def w1_of_weights(coordinates: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    """(J,) mean over dimensions of W1 between weighted samples.

    `weights` (J, rows): a row's share of the first sample less its share of the second.
    """
    total = torch.zeros(len(weights), dtype=torch.float64, device=weights.device)
    for column in coordinates.T.contiguous():
        values, order = torch.sort(column)
        difference = weights[:, order].cumsum(dim=1).abs_()
        total += (difference[:, :-1] @ torch.diff(values)).double()
    return (total / coordinates.shape[1]).cpu().numpy()


def neighbour_distances(reference: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Distance of each row (m, D) to its k-th nearest reference row; None: of each reference row
    to its k-th nearest other one."""
    device = chosen_device()
    fixed = torch.as_tensor(reference, device=device)
    moving = fixed if rows is None else torch.as_tensor(rows, device=device)
    neighbour = min(NEIGHBOUR + (rows is None), len(fixed))  # a row is its own nearest
    square = fixed.square().sum(dim=1)
    step = max(1, _budget(fixed) // len(fixed))
    parts = []
    for start in range(0, len(moving), step):
        mine = moving[start : start + step]
        squared = torch.addmm(square, mine, fixed.T, alpha=-2)
        squared.add_(mine.square().sum(dim=1, keepdim=True)).clamp_(min=0)
        parts.append(torch.topk(squared, neighbour, dim=1, largest=False).values[:, -1].sqrt())
    return torch.cat(parts).cpu().numpy().astype(np.float64)
