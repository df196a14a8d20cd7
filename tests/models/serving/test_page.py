"""The page in a real browser: files, a broken and a too large one, the microphone, the keyboard."""

import json
import os

import numpy as np
import pytest
import soundfile
from support.browser import Browser
from support.sounds import encode

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium", "fastapi", "uvicorn", "prometheus_client", "python_multipart"),
    pytest.mark.needs("websockets"),
]
CARDS = "[...document.querySelectorAll('.result:not(.busy)')]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser, service):
    browser.events.clear()
    browser.go(f"http://127.0.0.1:{service.port}/")
    browser.until("document.querySelector('#model').textContent.includes('w2v_tiny')")
    yield browser
    asked = {
        event["params"]["request"]["url"].partition("/v1")[0]
        for event in browser.events if event.get("method") == "Network.requestWillBeSent"
    }  # fmt: skip
    assert all(
        url.startswith((f"http://127.0.0.1:{service.port}", "blob:", "data:")) for url in asked
    )
    faults = [e for e in browser.events if e.get("method") == "Runtime.exceptionThrown"]
    policy = [e for e in browser.events if "Content Security Policy" in json.dumps(e)]
    assert (faults, policy) == ([], [])


def cards(page, count):
    """(heading, word, remark) of each card, the newest first."""
    page.until(f"{CARDS}.length === {count}")
    read = "['h3', '.word', '.remark'].map((part) => card.querySelector(part).textContent)"
    return page.run(f"{CARDS}.map((card) => {read})")


def places(page):
    """Where needle and mark stand on the scale of the first card, from 0 to 1."""
    middle = "const r = e.getBoundingClientRect(); return r.x + r.width / 2 - box.x"
    return page.run(
        "(() => { const scale = document.querySelector('.result .scale');"
        " const box = scale.getBoundingClientRect();"
        f" const at = (e) => {{ {middle}; }};"
        " return ['.needle', '.mark'].map("
        "(part) => at(scale.querySelector(part)) / box.width); })()"
    )


def test_two_files_at_once_wav_and_m4a(page, service, sounds, tmp_path):
    samples, rate = soundfile.read(sounds[1], dtype="float32", always_2d=True)
    m4a = tmp_path / "voice <b>memo.m4a"
    encode(m4a, samples, rate, "aac")
    page.choose("#files", sounds[0], m4a)
    page.until("document.querySelectorAll('.result').length === 2")  # the newest is first
    found = {name: word for name, word, _ in cards(page, 2)}
    assert set(found) == {sounds[0].name, m4a.name}
    for path in (sounds[0], m4a):
        (verdict,) = service.score(path.read_bytes(), path.name).json["verdicts"]
        assert found[path.name] == f"Likely {verdict['verdict']}"
    assert page.run("document.querySelector('#status').textContent").count("probability of real")
    figures = page.run("document.querySelector('.result .figures').textContent")
    assert "P(real)" in figures and " s" in figures
    basis = page.run("document.querySelector('.result .basis').textContent")
    assert basis.startswith("Real when P(real) >= 0.5; uncalibrated")
    assert "Threshold: the default" in basis
    assert places(page) == pytest.approx([verdict["p_real"], 0.5], abs=0.02)
    assert page.run("document.querySelector('.result .json').download").endswith(".json")


def test_the_timeline_has_picture_segments_sound_and_downloads(page, sounds):
    page.choose("#files", sounds[1])
    cards(page, 1)
    page.run("document.querySelector('.where').click()")
    page.until("document.querySelector('.picture img')?.naturalWidth > 600")
    page.until("document.querySelector('#status').textContent.includes('segments')")
    assert page.run("document.querySelectorAll('.segments button').length") >= 1
    page.run("document.querySelector('.segments button').click()")
    page.until("!document.querySelector('.now').hidden")
    ends = [("timeline-json", ".timeline.json"), ("labels", ".labels.txt"), ("png", ".png")]
    for name, end in ends:
        assert page.run(f"document.querySelector('.{name}').download") == sounds[1].name + end
    assert "hint" in page.run("document.querySelector('.note').textContent")
    page.look(400, "light")
    root = "document.documentElement"
    assert page.run(f"{root}.scrollWidth - {root}.clientWidth") == 0
    if folder := os.environ.get("PICTURES"):
        page.picture(f"{folder}/timeline.png")


def test_a_broken_file_says_why_and_the_next_is_scored(page, sounds, tmp_path):
    (tmp_path / "broken.wav").write_bytes(os.urandom(5000))
    page.choose("#files", tmp_path / "broken.wav")
    ((name, word, remark),) = cards(page, 1)
    assert (name, word) == ("broken.wav", "No verdict") and len(remark) > 10
    page.choose("#files", sounds[0])
    assert cards(page, 2)[0][1].startswith("Likely")


def test_a_file_too_large_is_refused_before_it_is_sent(browser, start, tmp_path):
    service = start(max_upload_mb=0.2)
    browser.go(f"http://127.0.0.1:{service.port}/")
    browser.until("document.querySelector('#limits').textContent.includes('0.2 MB')")
    soundfile.write(tmp_path / "big.wav", np.zeros(300_000), 16000)
    browser.choose("#files", tmp_path / "big.wav")
    ((_, word, remark),) = cards(browser, 1)
    assert word == "No verdict" and "larger than 0.2 MB" in remark


def test_a_recording_of_the_microphone_is_scored(page):
    page.run("document.querySelector('#record').click()")
    page.until("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
    page.run("new Promise((done) => setTimeout(done, 1500))")
    page.run("document.querySelector('#record').click()")
    ((name, word, _),) = cards(page, 1)
    assert name.startswith("recording ") and word.startswith("Likely")


def test_the_keyboard_reaches_everything_and_a_screen_reader_is_told(page, sounds):
    page.choose("#files", sounds[0])
    cards(page, 1)
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        page.press("Tab", 9)
        reached.append(page.run("document.activeElement.id || document.activeElement.className"
                                " || document.activeElement.tagName"))  # fmt: skip
    for place in ("files", "record", "close", "AUDIO", "button small json"):
        assert place in reached, reached
    assert page.run("document.querySelector('#status').getAttribute('aria-live')") == "polite"
    tree = page.command("Accessibility.getFullAXTree")["nodes"]
    names = {node.get("name", {}).get("value") for node in tree if not node.get("ignored")}
    for name in (
        "Choose files",
        "Record",
        f"Remove {sounds[0].name}",
        f"Listen to {sounds[0].name}",
    ):
        assert name in names, names
    assert any(name and name.startswith("Probability of real") for name in names)
    page.run("document.querySelector('.close').focus()")
    page.press("Enter", 13)
    page.until("document.querySelectorAll('.result').length === 0")


@pytest.mark.parametrize("scheme, dark", [("light", False), ("dark", True)])
@pytest.mark.parametrize("width", [400, 1000])
def test_it_fits_the_window_in_both_schemes(page, sounds, tmp_path, width, scheme, dark):
    page.look(width, scheme)
    long = tmp_path / ("a_rather_long_name_without_any_space" * 3 + ".wav")
    long.write_bytes(sounds[0].read_bytes())
    page.choose("#files", long, sounds[1])
    cards(page, 2)
    root = "document.documentElement"
    assert page.run(f"{root}.scrollWidth - {root}.clientWidth") == 0
    background = page.run("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, background[4:-1].split(","))) / 3
    assert (light < 128) is dark
    if folder := os.environ.get("PICTURES"):  # for whoever wants to look
        page.picture(f"{folder}/{width}-{scheme}.png")


def test_a_token_is_asked_for_and_taken(browser, start, sounds):
    service = start(token="s3cret")
    browser.go(f"http://127.0.0.1:{service.port}/")
    browser.until("!document.querySelector('#key').hidden")
    browser.run("document.querySelector('#token').value = 's3cret'")
    browser.run("document.querySelector('#key button').click()")
    browser.until("document.querySelector('#key').hidden")
    browser.choose("#files", sounds[0])
    assert cards(browser, 1)[0][1].startswith("Likely")
