"""Who may ask, what a monitor and a program are told, streams of sound, and the command itself."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.pages import ROOT

import main
from models.serving.windows import PcmWindows, RunningMean

pytestmark = pytest.mark.needs(
    "fastapi", "uvicorn", "prometheus_client", "python_multipart", "websockets"
)


def test_a_monitor_gets_health_and_figures(service, sounds):
    service.score(sounds[0].read_bytes())
    assert service.ask("GET", "/healthz").json == {"status": "ok"}
    service.ask("GET", "/v1/<script>")
    text = service.ask("GET", "/metrics").body.decode()
    count = r'antideepfake_request_seconds_count\{path="/v1/score",status="200"\} [\d.]+'
    assert re.search(count, text) and "<script>" not in text
    assert "antideepfake_in_work 0.0" in text


def test_the_model_and_the_interface_are_described(service):
    model = service.ask("GET", "/v1/model").json
    assert model["model"] == "w2v_tiny" and len(model["checkpoint_sha256"]) == 64
    assert (model["threshold"], model["max_seconds"]) == (0.5, 600)
    described = service.ask("GET", "/openapi.json").json
    for path in ("/v1/score", "/v1/timeline", "/v1/model", "/healthz", "/metrics"):
        assert path in described["paths"]
    assert {"200", "413", "422", "429", "503"} <= set(
        described["paths"]["/v1/score"]["post"]["responses"]
    )
    assert service.ask("GET", "/nothing").status == 404
    assert service.ask("GET", "/v1/score").json["error"] == "Method Not Allowed"


def test_the_page_needs_nothing_from_elsewhere(service):
    for path in ("/", "/page.css", "/page.js"):
        reply = service.ask("GET", path)
        assert reply.status == 200 and not re.findall(rb"https?://|@import", reply.body)
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"


def test_with_a_token_only_who_has_it_is_answered(start, sounds):
    service = start(token="s3cret")
    content = sounds[0].read_bytes()
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
        reply = service.score(content, **given)
        assert reply.status == 401 and "token" in reply.json["error"]
        assert service.ask("GET", "/metrics", headers=given).status == 401
    assert service.score(content, Authorization="Bearer s3cret").status == 200
    assert service.ask("GET", "/").status == service.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Host": ""},
                {"Origin": "https://evil.example"}, {"Origin": "null"}],
)  # fmt: skip
def test_another_sites_page_may_not_ask(service, headers):
    reply = service.ask("GET", "/v1/model", headers=headers)
    assert reply.status == 403 and isinstance(reply.json["error"], str)


def test_its_own_page_may_ask_by_any_name_of_this_machine(service):
    for host in ("localhost", f"127.0.0.1:{service.port}", f"[::1]:{service.port}"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert service.ask("GET", "/v1/model", headers=headers).status == 200


def connect(service, query="", **options):
    from websockets.sync.client import connect

    return connect(f"ws://127.0.0.1:{service.port}/v1/stream{query}", **options)


def test_a_stream_is_judged_at_every_step_and_as_a_whole(service, samples):
    data, rate = np.tile(samples[0], 8)[: 3 * samples[1]], samples[1]
    with connect(service, "?window_seconds=2&hop_seconds=1") as stream:
        for piece in np.array_split(data, 7):
            stream.send(piece.astype("<i2").tobytes())
        steps = [json.loads(stream.recv(timeout=30)) for _ in range(3)]
        stream.send("end")
        end = json.loads(stream.recv(timeout=30))
    assert [(step["start"], step["stop"]) for step in steps] == [(0, 1), (0, 2), (1, 3)]
    assert end["end"] and end["mean"] == steps[-1]["mean"] and end["threshold"] == 0.5
    logits = [np.log(step["p_real"] / (1 - step["p_real"])) for step in steps]
    mean = 1 / (1 + np.exp(-np.mean(logits)))
    assert end["mean"]["p_real"] == pytest.approx(mean, abs=1e-6)
    assert rate == 16000


def test_silence_in_a_stream_has_no_verdict(service):
    with connect(service, "?hop_seconds=1") as stream:
        stream.send(bytes(32000))
        step = json.loads(stream.recv(timeout=30))
    assert (step["p_real"], step["verdict"], step["mean"]["p_real"]) == (None, "no speech", None)


def test_a_stream_needs_the_token_and_a_page_of_its_own(start):
    from websockets.exceptions import InvalidStatus

    service = start(token="s3cret")
    with pytest.raises(InvalidStatus, match="403"), connect(service):
        pass
    with pytest.raises(InvalidStatus, match="403"), connect(service, origin="https://evil.example"):
        pass
    with connect(service, subprotocols=["bearer", "s3cret"]) as stream:
        stream.send("end")
        assert json.loads(stream.recv(timeout=30))["end"]


def test_windows_hold_the_last_seconds_whatever_the_pieces():
    rng = np.random.default_rng(0)
    data = rng.integers(-9000, 9000, 2000).astype("<i2")
    for size in (1, 7, 400, 4000):
        windows, found = PcmWindows(100, 3, 2), []
        raw = data.tobytes()
        for at in range(0, len(raw), size):
            found += list(windows.feed(raw[at : at + size]))
        assert [(a, b) for a, b, _ in found[:3]] == [(0, 2), (1, 4), (3, 6)] and len(found) == 10
        for start, stop, samples in found:
            piece = data[round(start * 100) : round(stop * 100)] / np.float32(32768)
            assert np.array_equal(samples, piece)


def test_the_mean_is_of_the_windows_that_have_a_verdict():
    mean = RunningMean(lambda s: s / 10, 0.5)
    assert mean.mean()["p_real"] is None
    assert mean.add(8.0, "") == {"p_real": 0.8, "verdict": "real"}
    assert mean.add(None, "no speech") == {"p_real": None, "verdict": "no speech"}
    mean.add(0.0, "")
    assert mean.mean() == {"p_real": 0.4, "verdict": "fake"}


@pytest.mark.parametrize(
    "options, words",
    [
        (["--host=0.0.0.0"], "give a --token"),
        (["--host=::"], "give a --token"),
        (["--token=two words"], "without a space"),
        (["--port=70000"], "from 0 to 65535"),
        (["--max_waiting=0"], "a whole number from 1 up"),
        (["--port={taken}"], "cannot listen on 127.0.0.1"),
        (["--prior_real=0.3"], "does nothing without a calibration"),
    ],
)
def test_mistakes_are_refused_before_anything_is_loaded(
    service, monkeypatch, capfd, options, words
):
    monkeypatch.setattr("models.serving.run.load_scorer", lambda *_: pytest.fail("loaded"))
    options = [option.format(taken=service.port) for option in options]
    assert main.main(["serve", "w2v_tiny", "--ckpt_path=null", *options]) == 2
    err = capfd.readouterr().err
    assert words in err and err.count("\n") == 1


def test_without_its_packages_it_says_how_to_get_them(monkeypatch, capfd):
    monkeypatch.setattr("models.serving.run.find_spec", lambda name: None)
    assert main.main(["serve", "w2v_tiny"]) == 2
    assert "bash install.sh --with serve" in capfd.readouterr().err


@pytest.mark.slow
def test_the_command_answers_and_ends_well_when_asked(checkpoint, sounds):
    words = ["serve", "w2v_tiny", f"--ckpt_path={checkpoint}", "--port=0", "--device=cpu"]
    process = subprocess.Popen(
        [sys.executable, "main.py", *words], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)", line)[1]
        from http.client import HTTPConnection

        from support.serving import form, request

        connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
        body, kind = form(sounds[0].read_bytes(), "private name.wav")
        reply = request(connection, "POST", "/v1/score", body, {"Content-Type": kind})
        assert reply.status == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and out == ""
    assert "private name" not in err and "SIGTERM: ending" in err
