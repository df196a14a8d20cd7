"""The line every table starts with: date, processor, cores and the versions that matter."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform


def describe(*packages: str) -> str:
    """One line such as `2026-11-22, 2-core x86_64 (AMD EPYC, AVX-512), Python 3.11.2`."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    parts = [
        datetime.date.today().isoformat(),
        f"{os.cpu_count()}-core {platform.machine()} ({_processor()})",
        f"Python {platform.python_version()}",
    ]
    return ", ".join(parts + versions)


def _processor() -> str:
    """The processor's name and its widest vectors, on which float32 products depend."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            facts = dict(line.split(":", 1) for line in lines if ":" in line)
    except OSError:
        return platform.processor() or "unknown processor"
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    vectors = {"avx512f": "AVX-512", "avx2": "AVX2"}
    widest = next((name for flag, name in vectors.items() if flag in flags), "")
    return ", ".join(filter(None, [facts.get("model name", "unknown processor"), widest]))
