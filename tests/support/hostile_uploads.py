"""Malformed requests: damaged sounds in sound forms, damaged forms, odd headers and names."""

from __future__ import annotations

import random

import psutil

from support.hostile import damaged
from support.serving import Running, form
from support.sounds import KINDS, small_sound

NAMES = ("a.wav", "../../x.flac", "%00.mp3", "a" * 5000, "\udcff.m4a", "x.g722", "", "a;b=c.ogg",
         "<svg onload=x>.webm", "a.gsm", "a.raw", "a.vox")  # fmt: skip
TYPES = ("multipart/form-data", "multipart/form-data; boundary=",
         "multipart/form-data; boundary=?", "text/plain", "application/json",
         "application/x-www-form-urlencoded", "\xff/\xff", "")  # fmt: skip
WARM = 50  # requests after which memory is first looked at


def request_of(rng: random.Random) -> tuple[bytes, str]:
    """Body and content type of one request."""
    content = small_sound(rng.choice(sorted(KINDS)))
    how = rng.randrange(4)
    if how:
        content = damaged(content, rng)
    body, kind = form(content, rng.choice(NAMES))
    if how == 2:
        body = damaged(body, rng)
    elif how == 3:
        kind = rng.choice(TYPES)
    return body, kind


def fuzz(service: Running, count: int, seed: int) -> tuple[list[str], dict[int, int], float]:
    """What did not hold, how often each status came, and MB of memory gained after the first few.

    Every answer is 200 or a refusal in one sentence, never a 500.
    """
    rng, faults, statuses = random.Random(seed), [], {}
    process, before = psutil.Process(), 0
    for number in range(count):
        if number == WARM:
            before = process.memory_info().rss
        body, kind = request_of(rng)
        reply = service.ask("POST", "/v1/score", body, {"Content-Type": kind.encode("latin-1")})
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        if reply.status not in (200, 400, 422) or (
            reply.status != 200 and not isinstance(reply.json.get("error"), str)
        ):
            faults.append(f"request {number} of seed {seed}: {reply.status} {reply.body[:200]!r}")
    return faults, statuses, (process.memory_info().rss - before) / 1e6
