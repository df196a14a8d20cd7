"""RawBoost of a padded batch on a device, with the draws of the loader (`augment_on: device`).

    waveform, draw = augmentation.split(waveform, rng)  # in the loader, a row
    waveforms = apply(waveforms, draws)  # on the device, a batch

Same draws, same result as `augment.rawboost.apply` on each row alone: padding enters nothing.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from augment.notches import GRID, Notches, block_size, half_filters
from augment.rawboost import PARALLEL, ConvolutiveDraw, Draw, ImpulsiveDraw, StationaryDraw


def apply(waveforms: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
    """RawBoost on the rows of a batch, one draw a row: (B, T) float32 -> (B, T).

    What lies beyond the length that a row was drawn for comes back as zeros. Raises ValueError for
    draws of several algorithms or of another number than the rows.
    """
    algorithms = {draw.algo for draw in draws}
    if len(draws) != len(waveforms) or len(algorithms) != 1:
        raise ValueError(
            f"{len(draws)} draws of algorithms {sorted(algorithms)} for {len(waveforms)} rows: "
            "give one a row, all of one algorithm"
        )
    time = torch.arange(waveforms.shape[1], device=waveforms.device)
    lengths = _sent([draw.length for draw in draws], waveforms.device)
    inside = time < lengths[:, None]  # (B, T)
    signal = waveforms * inside
    stages = list(zip(*(draw.stages for draw in draws), strict=True))  # stage by stage, B each
    if algorithms == {PARALLEL}:
        return peak_limited(sum(_apply_stage(signal, inside, stage) for stage in stages))
    for stage in stages:
        signal = _apply_stage(signal, inside, stage)
    return signal


def _sent(numbers: list, device: torch.device) -> torch.Tensor:
    """Numbers on a device, without waiting for what it computes (`device=` would)."""
    return torch.tensor(numbers).to(device, non_blocking=True)


def _apply_stage(signal: torch.Tensor, inside: torch.Tensor, draws: tuple) -> torch.Tensor:
    return APPLIERS[type(draws[0])](signal, inside, draws)


def peak_limited(signal: torch.Tensor) -> torch.Tensor:
    """Rows of (B, T) divided by their peak where that is above 1."""
    return signal / signal.abs().amax(dim=1, keepdim=True).clamp(min=1)


def add_convolutive(
    signal: torch.Tensor, inside: torch.Tensor, draws: tuple[ConvolutiveDraw, ...]
) -> torch.Tensor:
    """`augment.rawboost.add_convolutive` by rows; the mean is over what is inside."""
    filtered = filter_powers(signal, [draw.notches for draw in draws]) * inside
    mean = filtered.sum(dim=1, keepdim=True) / inside.sum(dim=1, keepdim=True).clamp(min=1)
    return peak_limited((filtered - mean) * inside)


def add_impulsive(
    signal: torch.Tensor, inside: torch.Tensor, draws: tuple[ImpulsiveDraw, ...]
) -> torch.Tensor:
    """`augment.rawboost.add_impulsive` by rows, one scatter for the batch."""
    width = signal.shape[1]
    positions = np.concatenate([row * width + draw.positions for row, draw in enumerate(draws)])
    factors = 1 + np.concatenate([draw.gains for draw in draws])
    positions = torch.from_numpy(positions).to(signal.device, non_blocking=True)
    factors = torch.from_numpy(factors).to(signal.device, signal.dtype, non_blocking=True)
    noisy = signal.flatten().clone()
    noisy[positions] = noisy[positions] * factors  # positions are all different
    return peak_limited(noisy.view_as(signal))


def add_stationary(
    signal: torch.Tensor, inside: torch.Tensor, draws: tuple[StationaryDraw, ...]
) -> torch.Tensor:
    """`augment.rawboost.add_stationary` by rows."""
    rows = [torch.from_numpy(draw.noise) for draw in draws]
    noise = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    noise = torch.nn.functional.pad(noise, (0, signal.shape[1] - noise.shape[1]))
    noise = noise.to(signal.device, signal.dtype, non_blocking=True)
    noise = filter_powers(noise, [draw.notches for draw in draws]) * inside
    snr_db = _sent([draw.snr_db for draw in draws], signal.device)[:, None]
    tiny = torch.finfo(noise.dtype).tiny
    scale = signal.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True).clamp(min=tiny)
    return signal + noise * scale / 10 ** (snr_db / 20)


APPLIERS = {
    ConvolutiveDraw: add_convolutive,
    ImpulsiveDraw: add_impulsive,
    StationaryDraw: add_stationary,
}


def filter_powers(signal: torch.Tensor, notches: list[Notches]) -> torch.Tensor:
    """`augment.notches.filter_powers` by rows: (B, T) -> (B, T), overlap-save as there."""
    reach = max(row.reach for row in notches)
    size = block_size(reach)
    hop = size - 2 * reach
    length = signal.shape[1]
    blocks = math.ceil(length / hop)
    padding = (reach - 1, blocks * hop + reach + 1 - length)
    frames = torch.nn.functional.pad(signal, padding).unfold(1, size, hop)  # (B, blocks, size)
    responses = amplitudes(notches, size, signal.device).to(signal.dtype)  # (B, F, size // 2 + 1)
    power, spectrum = frames, 0
    for order in range(responses.shape[1]):
        spectrum = spectrum + torch.fft.rfft(power) * responses[:, order, None]
        power = power * frames
    filtered = torch.fft.irfft(spectrum, size)[..., reach : reach + hop]
    return filtered.reshape(len(signal), -1)[:, :length]


def amplitudes(notches: list[Notches], size: int, device: torch.device) -> torch.Tensor:
    """`augment.notches.amplitudes` of each row, (B, F, size // 2 + 1) float64 on `device`."""
    merged = Notches(
        centre_hz=np.concatenate([row.centre_hz for row in notches]),  # (B F, N)
        width_hz=np.concatenate([row.width_hz for row in notches]),
        taps=np.concatenate([row.taps for row in notches]),
        gain_db=np.concatenate([row.gain_db for row in notches]),
        sample_rate=notches[0].sample_rate,
    )
    halves = torch.from_numpy(half_filters(merged)).to(device)  # (B F, N, longest half + 1)
    # The zero-phase response of a symmetric filter is the real part of that of its doubled half.
    halves[..., 1:] *= 2
    single = torch.fft.rfft(halves, size).real
    single = torch.where(single[..., :1] < 0, -single, single)
    cascade = single.prod(dim=1)
    peak = cascade[:, : size // 2 : size // 2 // GRID].abs().amax(dim=1)
    gain = torch.from_numpy(10 ** (merged.gain_db / 20)).to(device)
    return (cascade * (gain / peak)[:, None]).view(len(notches), -1, size // 2 + 1)
