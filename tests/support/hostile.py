"""Seeded generators of hostile files, each kind with the reader it is meant for.

    faults = run({"npz": 300}, seed=0, folder=tmp_path)

A file is a sound one that was damaged, or one made of what readers stumble over: depth, size,
numbers that are none, words that act on a terminal. Each is read by a watched child.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support import hostile_checkpoints, sounds
from support.watched import Watched

NASTY = [
    None, True, -1, 0, 2**63, -(2**63), 10**400, 1e308, -1e-320, float("nan"), float("inf"),
    "", "NaN", "1_0", "\x1b[2J\nerror: forged", "\u202egnp.exe", "x" * 5000, "../../etc/passwd",
    "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\udce9", "\0", [], {}, [[]], {"": None},
]  # fmt: skip
DEEP = 3000


@dataclass(frozen=True)
class Kind:
    """`make(rng)` gives the bytes of a file that ends in `suffix`, or in what `suffix(rng)` makes
    of the same draws; `reader` is "module:name".
    """

    suffix: str | Callable[[random.Random], str]
    make: Callable[[random.Random], bytes]
    reader: str


def run(counts: Mapping[str, int], *, seed: int, folder: Path) -> list[str]:
    """Read so many files of each kind; what did not hold, with the file kept in `folder`."""
    faults = []
    for kind, count in counts.items():
        made = KINDS[kind]
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True)
        with Watched(made.reader, place) as read:
            for number in range(count):
                draw = f"{seed} {kind} {number}"
                suffix = made.suffix
                suffix = suffix(random.Random(draw)) if callable(suffix) else suffix
                path = place / f"{number}{suffix}"
                path.write_bytes(made.make(random.Random(draw)))
                fault = read(path).fault()
                if fault is None:
                    path.unlink()
                else:
                    faults.append(f"{path}: {fault}")
    return faults


def damaged(sound: bytes, rng: random.Random) -> bytes:
    """A file of which some bytes were changed, cut off, doubled or taken out."""
    data = bytearray(sound)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        place = rng.randrange(len(data) + 1)
        act = rng.randrange(5)
        if act == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif act == 1:
            del data[place:]
        elif act == 2:
            data[place:place] = data[: rng.randrange(200)]
        elif act == 3:
            del data[place : place + rng.randrange(50)]
        else:
            data[place : place + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, b"9" * 30, b"[" * 100])
    return bytes(data)


def changed(value: object, rng: random.Random) -> object:
    """A JSON value in which some part is something else, missing, or one too many."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key, copy = rng.choice(sorted(value)), dict(value)
        act = rng.randrange(6)
        if act == 0:
            del copy[key]
        elif act == 1:
            copy[str(rng.choice(NASTY))] = rng.choice(NASTY)
        else:
            copy[key] = changed(value[key], rng)
        return copy
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(NASTY)


def json_text(sound: object, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        depth = rng.choice([30, DEEP, 100_000])
        return (b'{"meta": ' + b'[{"a":' * depth) if rng.random() < 0.5 else b"[" * depth
    if rng.random() < 0.3:
        return damaged(json.dumps(sound).encode(), rng)
    for _ in range(rng.choice([1, 1, 2, 4])):
        sound = changed(sound, rng)
    text = json.dumps(sound, ensure_ascii=rng.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


CALIBRATION = {
    "format": "antideepfake-calibration-1", "method": "isotonic", "scale": 1.0, "offset": 0.0,
    "knots": [-1.0, 0.5, 2.0], "values": [-3.0, 0.0, 3.0], "training_prior": 0.5,
    "checkpoint_sha256": "ab" * 32, "meta": {"scores": "dev.csv", "real": 3},
}  # fmt: skip
META = {
    "model": "w2v_tiny", "checkpoint_sha256": "ab" * 32, "engine": "native", "precision": "fp32",
    "sample_rate": 16000, "toolkit_version": "0.1.0",
}  # fmt: skip
MANIFEST = {"detector.ckpt": {"bytes": 10, "crc32": 3}, "CKPT.yaml": {"bytes": 4, "crc32": 1}}
CKPT_YAML = "end-of-epoch: true\nunixtime: 1750000000.5\nkind: best\nvalid_eer: 0.01\n"
YAML_TRICKS = (
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "<<: {a: 1}\n", "&a a: *a\n",
    "x: !!python/object/apply:os.system [true]\n", "x: !apply:os.system [true]\n",
    "unixtime: " + "9" * 5000, "unixtime: 2020-13-45", "[" * 5000, "- " * 5000, "? " * 3000,
    "unixtime: !!binary x", "\ufeff\u0007", "{a: b: c}", "%YAML 9.9\n---\na", "--- a\n--- b\n",
    "valid_eer: .nan", "a: !!timestamp 9999-99-99", "{" * 200 + "}" * 200,
)  # fmt: skip


def yaml_text(rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        tricks = (rng.choice(YAML_TRICKS) for _ in range(rng.choice([1, 1, 3])))
        return "".join(tricks).encode()
    return damaged(CKPT_YAML.encode(), rng)


def recipe_text(rng: random.Random) -> bytes:
    lines = ["model: w2v_tiny", "seed: 3", "lr: 1e-6", "train_crop_seconds: [10, 13]"]
    if rng.random() < 0.5:
        lines[rng.randrange(4)] = rng.choice(YAML_TRICKS)
    return damaged("\n".join(lines).encode(), rng) if rng.random() < 0.6 else yaml_text(rng)


def arrays(rng: random.Random, sound: dict[str, np.ndarray]) -> bytes:
    """An .npz: damaged, or of arrays of other shapes, types and names."""
    found = dict(sound)
    if rng.random() < 0.7:
        name = rng.choice(sorted(found))
        other = rng.choice([
            np.zeros(0), np.full((3, 2), np.nan), np.array("text"), np.array(["\x1b[2J"] * 24),
            np.arange(24), np.zeros((24, 2, 2)), np.array([{}], dtype=object), 
            np.ones((24, 3), "c8"),
            np.full((24, 3), 1e38, np.float32), np.array([b"\xff"] * 24), np.zeros((24, 0)),
            np.asfortranarray(np.ones((24, 3))), np.array([("a", 1)] * 24, dtype="U1,i4"),
        ])  # fmt: skip
        found[rng.choice([name, "spare", "../up", name])] = other
        if rng.random() < 0.2:
            del found[name]
    stream = io.BytesIO()
    (np.savez_compressed if rng.random() < 0.3 else np.savez)(stream, **found)
    data = stream.getvalue()
    return damaged(data, rng) if rng.random() < 0.5 else data


def embeddings(rng: random.Random) -> bytes:
    rows = np.random.default_rng(rng.randrange(1 << 30))
    sound = {
        "ids": np.array([f"u-{i}" for i in range(24)]), "labels": np.arange(24) % 2,
        "logits": rows.normal(size=(24, 2)), "embeddings": rows.normal(size=(24, 3)),
        "meta": np.array(json_text(META, rng).decode("utf-8", "replace")),
    }  # fmt: skip
    return arrays(rng, sound)


def reference(rng: random.Random) -> bytes:
    """A drift reference whose header or arrays are not as they were."""
    sound = dict(SOUND_REFERENCE)
    if rng.random() < 0.5:
        header = json.loads(str(sound["header"]))
        sound["header"] = np.array(json_text(header, rng).decode("utf-8", "replace"))
    return arrays(rng, sound)


def _sound_reference() -> dict[str, np.ndarray]:
    from drift.embeddings import embedding_set
    from drift.reference import arrays_of, fit_reference

    rows = np.random.default_rng(0)
    sample = embedding_set(
        rows.normal(size=(60, 3)), logits=rows.normal(size=(60, 2)), meta=META,
        labels=np.arange(60) % 2, columns={"Attack": np.array(["A1", "A2"] * 30)},
    )  # fmt: skip
    return arrays_of(fit_reference(sample))


SOUND_REFERENCE = _sound_reference()
SCORES = "ID,Score,Label\n" + "".join(f'S-{i},"[{i}.5, -{i}.25]",{i % 2}\n' for i in range(9))
PROTOCOL = (
    "ID,Label,Duration,SampleRate,Path,Attack,Speaker,Proportion,AudioChannel,AudioEncoding,"
    "AudioBitSample,Language\nS-1,real,1.5,16000,$ROOT/a.wav,-,-,train,1,PCM_S,16,EN\n"
    "S-2,fake,2.5,16000,$ROOT/b.wav,A1,-,test,1,PCM_S,16,EN\n"
)


def table(sound: str) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.4:
            return damaged(sound.encode(), rng)
        lines = [line.split(",") for line in sound.splitlines()]
        for _ in range(rng.choice([1, 2, 4])):
            cells = rng.choice(lines)
            cells[rng.randrange(len(cells))] = rng.choice(["", '"', *map(str, NASTY)])
        return "\n".join(map(",".join, lines)).encode("utf-8", "surrogatepass")

    return make


def sound_kind(rng: random.Random) -> str:
    return rng.choice(sorted(sounds.KINDS))


def sound_suffix(rng: random.Random) -> str:
    """Mostly that of the file's kind; what counts is what is in it."""
    name = sound_kind(rng)
    return Path(name if rng.random() < 0.8 else sound_kind(rng)).suffix


def sound(rng: random.Random) -> bytes:
    """A sound file that was damaged, cut off, joined to another, or whose header lies."""
    name = sound_kind(rng)
    rng.random()  # what `sound_suffix` draws
    data, act = sounds.small_sound(name), rng.randrange(5)
    if act == 0:
        other = sounds.small_sound(rng.choice([name, sound_kind(rng)]))
        data = data[: rng.choice([len(data), rng.randrange(len(data))])] + other
    elif act == 1:
        place = rng.randrange(len(data))
        data = data[:place] + rng.randbytes(rng.randrange(1, 3000)) + data[place:]
    elif act == 2:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 10)):
            changed[rng.randrange(min(200, len(data)))] = rng.randrange(256)
        data = bytes(changed)
    elif act == 3:
        place = rng.randrange(min(300, len(data) - 8))
        number = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1])
        order = rng.choice(["big", "little"])
        data = data[:place] + number.to_bytes(8, order) + data[place + 8 :]
    return damaged(data, rng) if act == 4 or rng.random() < 0.2 else data


LISTS = (
    "ffconcat version 1.0\nfile 'a.wav'\n", "ffconcat version 1.0\nfile '/etc/passwd'\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n", "[playlist]\nFile1=a.wav\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    '<?xml version="1.0"?><MPD type="dynamic"><Period><BaseURL>a.mp4</BaseURL></Period></MPD>',
    "concat:a.wav|b.wav\n", "file 'a.wav'\nfile 'b.wav'\n", "<ASX><ENTRY><REF HREF='a'/></ASX>",
)  # fmt: skip


def playlist(rng: random.Random) -> bytes:
    """A list of other files under the name of a sound."""
    sound_kind(rng)
    rng.random()
    text = rng.choice(["", "", "\ufeff", "\n" * rng.randrange(90)]) + rng.choice(LISTS)
    data = text.encode() * rng.choice([1, 1, 50])
    return damaged(data, rng) if rng.random() < 0.5 else data


SEGMENTS = (
    "SPEAKER u1 1 0.3 0.5 <NA> <NA> spoof <NA> <NA>\n" * 2,
    "u1 1.28 spoof 0.00-0.32-bonafide 0.32-1.28-spoof\nu2 2.0 bonafide 0.00-2.00-bonafide\n",
    "u1 0.00-0.32-T/0.32-0.64-F 0\nu2 0.00-2.00-T 1\n", "0.0\t0.3\treal\n0.3\t0.6\tfake 0.9\n",
    '{"u1": [0, 0, 1, 1], "u2": [0, 0]}', "[0, 1, 1]",
)  # fmt: skip


def segments(rng: random.Random) -> bytes:
    """Labels of segments of which cells were changed, or bytes."""
    sound = rng.choice(SEGMENTS)
    if rng.random() < 0.4:
        return damaged(sound.encode(), rng)
    cells = [line.split(" ") for line in sound.splitlines()]
    for _ in range(rng.choice([1, 2, 4])):
        line = rng.choice(cells)
        line[rng.randrange(len(line))] = rng.choice(
            ["", "\t", "1e9", "0.5-0.2-F", *map(str, NASTY)]
        )
    return "\n".join(map(" ".join, cells)).encode("utf-8", "surrogatepass")


def pickled_labels(rng: random.Random) -> bytes:
    """The dictionary of PartialSpoof, damaged, of other things, or behind another header."""
    values = [np.array(list("1100")), ["1", "0"], np.array([1, 0]), np.zeros(3), *NASTY]
    labels = {f"u{n}": values[rng.randrange(3)] for n in range(3)}
    if rng.random() < 0.5:
        labels[rng.choice(["u1", "\x1b[2J", ""])] = rng.choice(values)
    stream = io.BytesIO()
    np.save(stream, np.array(labels, dtype=object), allow_pickle=True)
    data = stream.getvalue()
    if rng.random() < 0.3:
        data = data[data.index(b"\x80") :]
    return damaged(data, rng) if rng.random() < 0.8 else data


READERS = "support.hostile_readers"
KINDS: dict[str, Kind] = {
    "audio": Kind(sound_suffix, sound, "support.hostile_sound_readers:audio"),
    "playlist": Kind(sound_suffix, playlist, f"{READERS}:playlist"),
    "npz": Kind(".npz", embeddings, f"{READERS}:embeddings"),
    "reference": Kind(".npz", reference, f"{READERS}:reference"),
    "calibration": Kind(".json", lambda rng: json_text(CALIBRATION, rng), f"{READERS}:calibration"),
    "meta": Kind(".meta.json", lambda rng: json_text(META, rng), f"{READERS}:meta"),
    "manifest": Kind(".json", lambda rng: json_text(MANIFEST, rng), f"{READERS}:manifest"),
    "ckpt_yaml": Kind(".yaml", yaml_text, f"{READERS}:ckpt_yaml"),
    "recipe": Kind(".yaml", recipe_text, f"{READERS}:recipe"),
    "scores": Kind(".csv", table(SCORES), f"{READERS}:scores"),
    "protocol": Kind(".csv", table(PROTOCOL), f"{READERS}:protocol"),
    "segments": Kind(".txt", segments, f"{READERS}:segments"),
    "pickled_labels": Kind("_0.16.npy", pickled_labels, f"{READERS}:segments"),
    "skipped": Kind(
        ".skipped",
        lambda rng: json_text({"row": 3, "kind": "error", "reason": "x"}, rng) + b"\n",
        f"{READERS}:skipped",
    ),
    "checkpoints": Kind(".ckpt", hostile_checkpoints.hostile, "support.readers:score_with"),
}
