"""The newcomer's page: train, export, self-test, serve, and an answer in the browser."""

import pytest
from support.browser import Browser
from support.pages import commands, page
from support.serving import Running
from support.training import toy_arguments

import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium", "fastapi", "uvicorn", "prometheus_client", "python_multipart"),
    pytest.mark.needs("websockets"),
]


def test_train_export_selftest_serve_and_an_answer_in_the_browser(toy_corpus, sounds, tmp_path):
    """The page's own commands, of the toy corpus instead of the demo (install.sh's own test)."""
    export, selftest, serve = commands(page("hand-on"), "python main.py ")
    assert main.main(["w2v_tiny", *toy_arguments(toy_corpus, tmp_path / "B")]) == 0
    (trained,) = (tmp_path / "B/Log/exps").iterdir()
    places = {"demo_run/Log/exps/exp_w2v_tiny_embedded": str(trained)}
    places["handed_on"] = str(tmp_path / "handed_on")
    assert main.main([places.get(word, word) for word in export]) == 0
    assert main.main([places.get(word, word) for word in selftest]) == 0
    assert serve[:3] == ["serve", "hparams/w2v_tiny.yaml", "--ckpt_path"]
    service = Running(places[serve[3]])
    with Browser(tmp_path) as browser:
        browser.go(f"http://127.0.0.1:{service.port}/")
        browser.until("document.querySelector('#limits').textContent.includes('MB')")
        browser.choose("#files", sounds[0])
        word = browser.until("document.querySelector('.result:not(.busy) .word')?.textContent")
    service.stop()
    assert word.startswith("Likely")
