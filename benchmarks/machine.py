"""The line every table starts with: date, processor, cores and the versions that matter."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform


def describe(*packages: str) -> str:
    """One line such as `2026-11-22, 2-core x86_64 (AMD EPYC), Python 3.11.2, numpy 2.4.6`."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    parts = [
        datetime.date.today().isoformat(),
        f"{os.cpu_count()}-core {platform.machine()} ({_processor()})",
        f"Python {platform.python_version()}",
    ]
    return ", ".join(parts + versions)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
