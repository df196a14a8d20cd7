"""Noise comes in at its SNR, rooms keep the direct sound in place, missing files are named."""

import numpy as np
import pytest
import soundfile

from augment import build
from dataio.schema import COLUMNS, UserError

LENGTH = 16_000


def effect(name, **settings):
    return build(None, [{"name": name, **settings}]).steps[0].effects[0]


@pytest.fixture
def noises(tmp_path):
    folder = tmp_path / "noises"
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "long.wav", 0.1 * rng.standard_normal(40_000), 16_000, "FLOAT")
    soundfile.write(folder / "below" / "short.flac", 0.1 * rng.standard_normal(1_000), 8_000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def write_room(path, response, sample_rate=16_000):
    soundfile.write(path, response, sample_rate, "FLOAT")
    return path


@pytest.fixture
def rooms(tmp_path):
    folder = tmp_path / "rooms"
    folder.mkdir()
    response = np.zeros(4_000)
    response[[200, 600]] = 0.5, -0.25  # direct sound after 200 samples, an echo 400 later
    write_room(folder / "echo.wav", response)
    return folder


def waveform(seed=1):
    return (0.2 * np.random.default_rng(seed).standard_normal(LENGTH)).astype(np.float32)


def test_noise_has_the_drawn_snr_whether_the_recording_is_long_or_short(noises):
    noise = effect("noise", folder=str(noises), snr_db=[0, 30])
    speech = waveform()
    for path in noise.paths:
        for snr_db in (0, 12.5, 30):
            added = noise.apply(speech, (path, 0.3, snr_db)) - speech
            ratio = np.linalg.norm(speech) / np.linalg.norm(added)
            assert 20 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_noise_begins_where_it_was_drawn_to(noises):
    noise = effect("noise", folder=str(noises))
    path = str(noises / "long.wav")
    recording, _ = soundfile.read(path)
    added = noise.apply(waveform(), (path, 0.5, 0.0)) - waveform()
    expected = recording[12_000 : 12_000 + LENGTH]
    assert added @ expected / np.linalg.norm(added) / np.linalg.norm(expected) > 0.9999


def test_all_files_of_a_folder_are_drawn_and_snr_within_the_range(noises):
    noise = effect("noise", folder=str(noises), snr_db=[5, 10])
    rng = np.random.default_rng(0)
    drawn = [noise.draw(LENGTH, rng) for _ in range(50)]
    assert {path for path, _, _ in drawn} == set(noise.paths) and len(noise.paths) == 2
    assert all(5 <= snr_db <= 10 for _, _, snr_db in drawn)


def test_noises_can_be_listed_in_a_protocol_csv(noises, tmp_path):
    protocol = tmp_path / "noise.csv"
    row = dict.fromkeys(COLUMNS, "-") | {"ID": "N-1", "Path": "$ROOT/noises/long.wav"}
    lines = [",".join(COLUMNS), ",".join(row.values())]
    protocol.write_text("\n".join(lines) + "\n")
    noise = effect("noise", csv=str(protocol), data_folder=str(tmp_path))
    assert noise.paths == (str(noises / "long.wav"),)
    with pytest.raises(UserError, match=r"'\$ROOT/noises/long.wav' is not there; set or correct"):
        effect("noise", csv=str(protocol))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_the_csv_may_begin_with_a_mark_or_hold_names_that_are_not_utf_8(encoding, noises, tmp_path):
    protocol = tmp_path / "noise.csv"
    text = "Path,Speaker\n$ROOT/noises/long.wav,Zoë\n\n"
    protocol.write_bytes(text.encode(encoding))
    noise = effect("noise", csv=str(protocol), data_folder=str(tmp_path))
    assert noise.paths == (str(noises / "long.wav"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID,Path\nN-1\n", "1 cells in {csv}, line 2: its header has 2"),
        ("ID,path\nN-1,x\n", "has 'path': write 'Path'"),
        ('Path,ID\n"$ROOT/noises/long.wav,N-1\n', "{csv}, line 2 is no CSV"),
        ("Path\n$ROOT/noises\n", "'$ROOT/noises' is not there"),
        ("Path\n", "no rows"),
    ],
)
def test_a_csv_that_lists_no_recordings_is_refused_when_built(text, words, noises, tmp_path):
    protocol = tmp_path / "noise.csv"
    protocol.write_text(text)
    with pytest.raises(UserError) as refusal:
        effect("noise", csv=str(protocol), data_folder=str(tmp_path))
    assert words.format(csv=protocol) in str(refusal.value)


def test_a_room_adds_its_echo_and_keeps_the_direct_sound_in_place(rooms):
    room = effect("reverberation", folder=str(rooms))
    dry = waveform()
    wet = room.apply(dry, room.paths[0])
    expected = dry.astype(float)
    expected[400:] -= 0.5 * dry[:-400]
    expected *= np.abs(dry).mean() / np.abs(expected).mean()
    np.testing.assert_allclose(wet, expected, atol=1e-5)


def test_nothing_of_a_rooms_tail_wraps_around_to_the_beginning(rooms):
    room = effect("reverberation", folder=str(rooms))
    late = np.zeros(LENGTH, np.float32)
    late[-100:] = 0.5
    assert np.abs(room.apply(late, room.paths[0])[:-100]).max() < 1e-6


def test_a_response_longer_than_the_waveform_or_at_another_rate_is_applied(rooms):
    long = np.zeros(30_000)
    long[[0, 20_000]] = 1
    path = str(write_room(rooms / "hall.wav", long, 8_000))
    room = effect("reverberation", folder=str(rooms))
    wet = room.apply(waveform(), path)
    assert wet.shape == (LENGTH,)
    assert np.argmax(np.correlate(wet, waveform(), "same")) == LENGTH // 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["noise", "reverberation"])
def test_odd_inputs_give_finite_output(name, dtype, noises, rooms):
    augmentation = build(
        None, [{"name": name, "folder": str(noises if name == "noise" else rooms)}]
    )
    for seed in range(4):
        for odd in (np.zeros(0), np.zeros(1), np.ones(1), np.zeros(700), np.full(700, 0.5),
                    np.sign(waveform())):  # fmt: skip
            augmented = augmentation(odd.astype(dtype), np.random.default_rng(seed))
            assert augmented.shape == odd.shape and augmented.dtype == dtype
            assert np.isfinite(augmented).all()


def test_8_khz_audio_is_mixed_at_8_khz(noises, rooms):
    for name, folder in (("noise", noises), ("reverberation", rooms)):
        augmentation = build(None, [{"name": name, "folder": str(folder)}], sample_rate=8_000)
        assert augmentation(waveform(), np.random.default_rng(0)).shape == (LENGTH,)
    room = augmentation.steps[0].effects[0]
    pulse = np.zeros(1_000, np.float32)
    pulse[0] = 0.5
    echo = np.abs(room.apply(pulse, room.paths[0]))
    assert np.argsort(echo)[-1] == 0 and 195 <= np.argmax(echo[100:]) + 100 <= 205


def test_what_is_not_there_is_refused_when_built(tmp_path, noises):
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        ({}, "give one of 'folder' and 'csv'"),
        ({"folder": str(noises), "csv": "x.csv"}, "give one of 'folder' and 'csv'"),
        ({"folder": str(tmp_path / "nowhere")}, "nowhere"),
        ({"folder": str(empty)}, "empty"),
        ({"csv": str(tmp_path / "no.csv")}, "there is no protocol"),
        ({"csv": str(noises / "notes.txt")}, "notes.txt: no column 'Path'"),
    ]
    for settings, words in cases:
        for name in ("noise", "reverberation"):
            with pytest.raises(UserError) as refusal:
                effect(name, **settings)
            assert words in str(refusal.value)


def test_a_recording_that_does_not_read_is_named(noises, rooms):
    for name, folder in (("noise", noises), ("reverberation", rooms)):
        broken = folder / "broken.wav"
        broken.write_bytes(b"RIFF, but no more")
        augmentation = build(None, [{"name": name, "folder": str(folder)}])
        with pytest.raises(UserError, match="broken.wav"):
            for seed in range(40):
                augmentation(waveform(), np.random.default_rng(seed))


def test_a_silent_response_is_refused_and_silent_noise_adds_nothing(noises, rooms):
    silent = write_room(rooms / "silent.wav", np.zeros(100))
    room = effect("reverberation", folder=str(rooms))
    with pytest.raises(UserError, match="silent.wav is silent"):
        room.apply(waveform(), str(silent))
    noise = effect("noise", folder=str(noises))
    np.testing.assert_array_equal(noise.apply(waveform(), (str(silent), 0.0, 10.0)), waveform())
