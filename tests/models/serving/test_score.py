"""`/v1/score`: the answers of `main.py score`, whatever the company, and every refusal."""

import base64
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from support.serving import form
from support.sounds import KINDS, make_signal, sample_rate, write_kind

import main
from models.checkpoints import load_detector
from models.scoring.python import score_files

pytestmark = pytest.mark.needs("fastapi", "uvicorn", "prometheus_client", "python_multipart")


@pytest.fixture(scope="module")
def expected(checkpoint, sounds):
    """Of each sound, the logits that scoring files gives."""
    detector, _ = load_detector("w2v_tiny", checkpoint)
    found = score_files(detector.eval(), sounds)
    return {
        path.name: (row.fake_logit, row.real_logit) for path, row in zip(sounds, found, strict=True)
    }


def logits(reply):
    assert reply.status == 200, reply.body
    (verdict,) = reply.json["verdicts"]
    return verdict["fake_logit"], verdict["real_logit"]


def test_an_answer_is_that_of_score(service, sounds, expected):
    reply = service.score(sounds[3].read_bytes(), "take 3.wav")
    found = reply.json
    assert logits(reply) == pytest.approx(expected[sounds[3].name], abs=1e-5)
    (verdict,) = found["verdicts"]
    fake, real = logits(reply)
    assert verdict["p_real"] == pytest.approx(1 / (1 + np.exp(fake - real)))
    assert verdict["verdict"] == ("real" if verdict["p_real"] >= 0.5 else "fake")
    assert (found["name"], found["threshold"]) == ("take 3.wav", 0.5)
    assert "default" in found["threshold_origin"] and "uncalibrated" in found["basis"]


def test_many_at_once_share_batches_and_each_has_its_own_answer(service, sounds, expected):
    before = service.ask("GET", "/metrics").body.decode()

    def one(n):
        path = sounds[n % len(sounds)]
        reply = service.score(path.read_bytes(), path.name)
        return reply.json["name"], logits(reply)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(200)))
    assert [name for name, _ in found] == [sounds[n % len(sounds)].name for n in range(200)]
    for name, pair in found:
        assert pair == pytest.approx(expected[name], abs=1e-5)
    after = service.ask("GET", "/metrics").body.decode()
    names = [f"antideepfake_batch_files_{what}" for what in ("sum", "count")]
    files, batches = (value(after, name) - value(before, name) for name in names)
    assert files == 200 and batches < 150


def value(text, name):
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_of_file_is_read_from_an_upload_as_from_disk(
    service, checkpoint, tmp_path, name
):
    rate = sample_rate(name)
    write_kind(tmp_path / name, name, make_signal(1.5, rate), rate)
    detector, _ = load_detector("w2v_tiny", checkpoint)
    (row,) = score_files(detector.eval(), [tmp_path / name])
    reply = service.score((tmp_path / name).read_bytes(), name)
    assert logits(reply) == pytest.approx((row.fake_logit, row.real_logit), abs=1e-5)


def test_a_long_file_is_scored_in_windows_that_share_batches(start, checkpoint, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.standard_normal(7 * 16000), 16000)
    windows = {"max_whole_seconds": 3, "window_seconds": 2}
    service = start(**windows)
    reply = service.score((tmp_path / "long.wav").read_bytes())
    words = [f"--{key}={value}" for key, value in windows.items()]
    words += [f"--ckpt_path={checkpoint}", "--device=cpu", f"--output={tmp_path}/v.json"]
    assert main.main(["score", "w2v_tiny", str(tmp_path / "long.wav"), *words]) == 0
    (wanted,) = json.loads((tmp_path / "v.json").read_text())["files"]
    assert logits(reply) == pytest.approx(wanted["logits"], abs=1e-5)
    assert reply.json["verdicts"][0]["worst"] == pytest.approx(wanted["worst"], abs=1e-5)


def test_a_timeline_is_that_of_the_command(service, checkpoint, sounds, tmp_path):
    body, kind = form(sounds[3].read_bytes(), "take 3.wav")
    reply = service.ask("POST", "/v1/timeline", body, {"Content-Type": kind})
    words = [f"--ckpt_path={checkpoint}", "--device=cpu", f"--output_folder={tmp_path}/o"]
    assert main.main(["timeline", "w2v_tiny", str(sounds[3]), *words]) == 0
    wanted = json.loads((tmp_path / f"o/{sounds[3].name}.json").read_text())
    found = reply.json
    assert found["logits"] == pytest.approx(wanted["logits"], abs=1e-5)
    assert found["frame_scores"] == pytest.approx(wanted["frame_scores"], abs=1e-4)
    assert [s["verdict"] for s in found["segments"]] == [s["verdict"] for s in wanted["segments"]]
    assert found["file"] == "take 3.wav" and "\t" in found["labels"]
    assert base64.b64decode(found["picture"]).startswith(b"\x89PNG")
    body, kind = form(b"no sound", "a.wav")
    assert service.ask("POST", "/v1/timeline", body, {"Content-Type": kind}).status == 422


def test_without_descriptors_as_paths_an_upload_is_read_from_a_copy_that_goes(
    service, sounds, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr("models.serving.uploads.Path.exists", lambda _path: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reply = service.score(sounds[0].read_bytes(), "a.wav")
    assert logits(reply) == pytest.approx(expected[sounds[0].name], abs=1e-5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "the file is empty"),
        (b"no sound at all", "it"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "it"),
    ],
)
def test_what_is_no_audio_is_422_with_one_sentence(service, content, words, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reply = service.score(content)
    assert reply.status == 422 and words in reply.json["error"]
    assert "/" not in reply.json["error"] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\r\nX-Evil: 1.wav", "<img src=x onerror=alert(1)>.wav", "\0.wav",
             "é" * 1000 + ".wav", "CON", "-rf.wav", "\u202egpj.wav", "\udcff.wav"],
)  # fmt: skip
def test_a_hostile_name_does_no_harm(service, sounds, expected, name):
    reply = service.score(sounds[0].read_bytes(), name.replace("\r\n", "%0D%0A"))
    assert logits(reply) == pytest.approx(expected[sounds[0].name], abs=1e-5)
    assert len(reply.json["name"]) < 250 and "\u202e" not in reply.json["name"]


def test_a_form_without_a_file_or_no_form_is_refused_in_one_sentence(service):
    for body, kind in ((b"hello", "text/plain"), (b"--x--", "multipart/form-data; boundary=x"),
                       (b"junk", "multipart/form-data"), (b"", "")):  # fmt: skip
        reply = service.ask("POST", "/v1/score", body, {"Content-Type": kind})
        assert reply.status in (400, 422) and isinstance(reply.json["error"], str)


def test_too_many_megabytes_are_413_whether_stated_or_streamed(start, sounds):
    service = start(max_upload_mb=0.1)
    reply = service.score(bytes(3_000_000))
    assert reply.status == 413 and "0.1 MB (max_upload_mb)" in reply.json["error"]
    body, kind = form(bytes(3_000_000), "a.wav")
    pieces = (body[i : i + 65536] for i in range(0, len(body), 65536))
    reply = service.ask("POST", "/v1/score", pieces, {"Content-Type": kind})  # chunked: no length
    assert reply.status == 413 and "max_upload_mb" in reply.json["error"]
    assert service.score(sounds[0].read_bytes()).status == 200


def test_too_many_seconds_are_422(start, tmp_path):
    service = start(max_seconds=2)
    soundfile.write(tmp_path / "long.wav", np.full(48000, 0.1), 16000)
    reply = service.score((tmp_path / "long.wav").read_bytes())
    assert reply.status == 422 and "3.0 s long, and 2 s is the most" in reply.json["error"]


@pytest.fixture
def slow(monkeypatch):
    """An event that lets the judging of uploads go on."""
    from models.serving import app

    judge, go_on = app.judge_upload, threading.Event()

    def wait(*args, **options):
        assert go_on.wait(30)
        return judge(*args, **options)

    monkeypatch.setattr(app, "judge_upload", wait)
    return go_on


def test_one_more_than_may_wait_is_429_and_comes_again(start, sounds, slow):
    service = start(max_waiting=2)
    content = sounds[0].read_bytes()
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(service.score, content) for _ in range(2)]
        deadline = time.monotonic() + 20
        while service.service.guard.in_work < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        reply = service.score(content)
        assert reply.status == 429 and reply.headers["Retry-After"] == "1"
        assert "2 requests are in work" in reply.json["error"]
        assert service.ask("GET", "/healthz").status == 200
        slow.set()
        assert [future.result().status for future in first] == [200, 200]
    assert service.score(content).status == 200


def test_no_answer_in_time_is_503(start, sounds, slow):
    service = start(request_timeout=0.3)
    reply = service.score(sounds[0].read_bytes())
    assert reply.status == 503 and "0.3 s (request_timeout)" in reply.json["error"]
    assert int(reply.headers["Retry-After"]) > 0
    slow.set()


def test_an_upload_that_never_ends_is_503(start):
    service = start(request_timeout=0.5)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.putrequest("POST", "/v1/score")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"--x\r\n")
    answer = connection.getresponse()
    assert answer.status == 503 and "request_timeout" in json.loads(answer.read())["error"]
    connection.close()


def test_a_stop_answers_what_is_in_work_and_takes_nothing_new(start, sounds, slow):
    service = start()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(service.score, sounds[0].read_bytes())
        while service.service.guard.in_work < 1:
            time.sleep(0.01)
        stopping = pool.submit(service.stop)
        deadline = time.monotonic() + 20
        while True:
            try:
                service.ask("GET", "/healthz")
            except OSError:
                break
            assert time.monotonic() < deadline, "it still takes requests"
            time.sleep(0.05)
        slow.set()
        assert waiting.result().status == 200
        stopping.result()
