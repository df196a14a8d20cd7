"""--push: what arrives is the folder, and `selftest owner/name` passes on it; refusals."""

import pytest
from support.hub import fake_hub

from dataio.schema import UserError
from models.export import push

from .conftest import run_main

MODEL, NAME = "w2v_tiny", "someone/detector"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on loopback, which this process takes for the hub; logged in."""
    from huggingface_hub import constants

    with fake_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE",
                            str(tmp_path / "cache"))  # fmt: skip
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        yield hub


def test_what_arrives_is_the_folder_and_checks_itself(exported, hub, tmp_path):
    folder = exported(MODEL)
    assert push.push(folder, NAME) == f"{hub.endpoint}/{NAME}"
    sent = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert hub.files[NAME] == sent
    del hub.files[NAME]["transformers.safetensors"]  # its package takes ten seconds to load
    status, screen = run_main("selftest", NAME)
    assert status == 0 and "native" in screen, screen


def test_a_missing_token_is_one_sentence_before_any_work(hub, tmp_path, monkeypatch, checkpoint_of):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    words = ["--ckpt_path", checkpoint_of(MODEL), "--output_folder", tmp_path / "o"]
    status, screen = run_main("export", MODEL, *words, "--license=mit", f"--push={NAME}")
    assert status == 2 and "log in with `hf auth login`, or set HF_TOKEN" in screen
    assert len(screen.strip().splitlines()) == 1 and not (tmp_path / "o").exists()


def test_a_wrong_token_leaves_the_folder_and_says_how_to_go_on(exported, hub):
    hub.token = "hf_another"
    with pytest.raises(UserError, match=r"is complete, but was not uploaded.*hf upload someone/"):
        push.push(exported(MODEL), NAME)


@pytest.mark.parametrize("name", ["detector", "a/b/c", "a b/c", "https://hub/a"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UserError, match="expected owner/name"):
        push.check(name)


def test_a_repository_that_is_not_there_is_one_sentence(hub):
    status, screen = run_main("selftest", "someone/nothing")
    assert status == 2 and "not to be had from the hub as someone/nothing" in screen
