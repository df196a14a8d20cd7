"""Where a step's time goes by kind of kernel: products, attention, casts, positional convolution.

    python -m benchmarks.forward_profile [--model mms_300m] [--precision bf16] [--device cuda]

A forward and a backward over one batch of `--batch_seconds`, after `--warmup` such. Time is the
device's own, of each operator without those that it calls; the positional convolution's forward
is counted by itself as well, its share of the whole and not beside the others'.
"""

from __future__ import annotations

import argparse

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.machine import describe
from benchmarks.training_speed import batches, loss_of
from models.detector import Detector, build_detector
from models.precision import autocast

POSITIONAL = "positional convolution"
# The first kind of which a part stands in the operator's name is its own.
KINDS = {
    "casts and copies": ("aten::copy_", "aten::_to_copy", "aten::clone", "Memcpy"),
    "attention": ("attention", "softmax"),
    "convolutions": ("conv",),
    "products": ("aten::mm", "addmm", "bmm", "linear", "mkldnn", "onednn"),
    "norms": ("norm",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="mms_300m")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--batch_seconds", type=float, default=100.0)
    parser.add_argument("--warmup", type=int, default=3)
    args = parser.parse_args()
    print(describe("torch"))
    if args.device == "cuda" and not torch.cuda.is_available():
        print("not measured: no CUDA device at hand")
        return
    print(f"{args.model}, {args.precision}, {args.device}, {args.batch_seconds:.0f} s of audio\n")
    detector = build_detector(args.model).to(args.device).train()
    shares, positional, calls = measure(detector, args)
    whole = sum(shares.values())
    print("| what | ms | share | calls |\n|---|--:|--:|--:|")
    for kind in sorted(shares, key=shares.get, reverse=True):
        print(f"| {kind} | {shares[kind]:.2f} | {shares[kind] / whole:.1%} | {calls[kind]} |")
    print(f"| all | {whole:.2f} | | {sum(calls.values())} |")
    print(f"| {POSITIONAL}, forward | {positional:.2f} | {positional / whole:.1%} | 1 |")


def measure(
    detector: Detector, args: argparse.Namespace
) -> tuple[dict[str, float], float, dict[str, int]]:
    """Milliseconds of each kind, of the positional convolution's forward, and calls of each."""
    cuda = args.device.startswith("cuda")
    mark_positional(detector)
    waveforms, lengths = next(batches(args.batch_seconds, 1))
    waveforms = waveforms.to(args.device)

    def step() -> None:
        detector.zero_grad(set_to_none=True)
        with autocast(torch.device(args.device).type, args.precision):
            loss = loss_of(detector, waveforms, lengths)
        loss.backward()
        if cuda:
            torch.cuda.synchronize()

    for _ in range(args.warmup):
        step()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities, acc_events=True) as profiled:
        step()
    own, all_of_it = (
        ("self_device_time_total", "device_time_total")
        if cuda
        else ("self_cpu_time_total", "cpu_time_total")
    )
    shares, calls = dict.fromkeys((*KINDS, "other"), 0.0), dict.fromkeys((*KINDS, "other"), 0)
    positional = 0.0
    for event in profiled.key_averages():
        on_device = event.device_type != torch.autograd.DeviceType.CPU
        if event.key == POSITIONAL:
            positional = max(positional, getattr(event, all_of_it) / 1000)
        elif not on_device:  # a kernel's time is its operator's already
            kind = kind_of(event.key)
            shares[kind] += getattr(event, own) / 1000
            calls[kind] += event.count
    return shares, positional, calls


def mark_positional(detector: Detector) -> None:
    """Give the positional convolution's forward a name in the profile."""
    (module,) = detector.m_ssl.model.encoder.pos_conv
    forward = module.forward

    def marked(*args, **kwargs):
        with record_function(POSITIONAL):
            return forward(*args, **kwargs)

    module.forward = marked


def kind_of(operator: str) -> str:
    return next((k for k, parts in KINDS.items() if any(p in operator for p in parts)), "other")


if __name__ == "__main__":
    main()
