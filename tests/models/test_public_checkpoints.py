"""Detectors of the field as they lie: their names, their preprocessing, their scores."""

import json

import numpy as np
import pytest
import soundfile
import torch
from support.corpus import write_protocol
from support.training import killed_run, make_run, toy_arguments

import main
from dataio.schema import Row, UserError
from dataio.scores import read_scores
from hparams.load import load_hparams
from models.checkpoints import load_detector
from models.detector import build_detector, detector_options
from models.export.run import refuse_other_front_ends
from models.front_ends.sinc import band_pass_filters, sinc_frames
from models.heads.aasist import Aasist, WaveformAasist
from models.heads.known_answers import drawn_weight
from models.heads.sls import Sls

SAMPLES = 64_600
WIDTH, LAYERS = 144, 3  # of xlsr_tiny, which stands for XLS-R 300M
HEADS = {
    "xlsr_aasist": lambda: Aasist(WIDTH, LAYERS),
    "xlsr_sls": lambda: Sls(WIDTH, LAYERS),
    "aasist": lambda: WaveformAasist(70, 0),
}


def pad(x):
    """Of their data_utils: the first 64,600 samples, repeated where there are fewer."""
    if len(x) >= SAMPLES:
        return x[:SAMPLES]
    return np.tile(x, SAMPLES // len(x) + 1)[:SAMPLES]


class Theirs:
    """Their pipeline on tiny sizes: file, `pad`, SSL frames or filters, head, column 1 is real."""

    def __init__(self, system):
        torch.manual_seed(4)
        self.head = HEADS[system]().eval()
        shapes = {name: tuple(t.shape) for name, t in self.head.state_dict().items()}
        drawn = {n: drawn_weight(n, shape, i) for i, (n, shape) in enumerate(shapes.items())}
        self.head.load_state_dict(drawn)
        self.ssl = None if system == "aasist" else build_detector("xlsr_tiny").m_ssl.model.eval()

    def state_dict(self, prefix=""):
        ssl = {} if self.ssl is None else self.ssl.state_dict()
        named = {f"ssl_model.model.{name}": tensor for name, tensor in ssl.items()}
        return {prefix + name: t for name, t in {**named, **self.head.state_dict()}.items()}

    @torch.no_grad()
    def scores(self, path):
        waveform = torch.from_numpy(pad(soundfile.read(path, dtype="float32")[0]))[None]
        if self.ssl is None:
            return self.head([sinc_frames(waveform, band_pass_filters())], None).logits[0]
        layers = []
        frames = self.ssl(waveform, None, layers)
        return self.head(layers if self.head.reads_layers else [frames], None).logits[0]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Files shorter than the input and longer, with a level of their own."""
    folder = tmp_path_factory.mktemp("public")
    (folder / "protocols").mkdir()
    (folder / "Data").mkdir()
    rng, rows = np.random.default_rng(0), []
    for number, size in enumerate((20_000, SAMPLES, 80_000, 9_000)):
        waveform = 0.05 * rng.standard_normal(size) + 0.02
        path = folder / f"Data/{number}.wav"
        soundfile.write(path, waveform.astype(np.float32), 16_000, subtype="FLOAT")
        rows.append(Row(f"file-{number}", "real", size / 16_000, 16_000, f"$ROOT/{number}.wav"))
    write_protocol(folder / "protocols/test.csv", rows)
    return folder


@pytest.mark.parametrize("prefix", ["", pytest.param("module.", marks=pytest.mark.slow)])
@pytest.mark.parametrize("system", HEADS)
def test_inference_gives_the_scores_of_their_pipeline(system, prefix, sounds, tmp_path):
    theirs = Theirs(system)
    torch.save(theirs.state_dict(prefix), tmp_path / "theirs.pth")
    words = toy_arguments(sounds, tmp_path, exp_name=system, num_workers=0)
    words += [] if system == "aasist" else ["--model=xlsr_tiny"]
    words += [f"--ckpt_path={tmp_path}/theirs.pth", f"--score_path={tmp_path}/s.csv"]
    assert main.main(["inference", f"hparams/{system}.yaml", *words]) == 0
    found = read_scores(tmp_path / "s.csv")
    assert len(found.ids) == 4
    for name, logits in zip(found.ids, torch.tensor(found.logits).float(), strict=True):
        expected = theirs.scores(sounds / f"Data/{name[-1]}.wav")
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    meta = json.loads((tmp_path / "s.meta.json").read_text())
    assert meta["preprocessing"] == {"normalise": False, "input_samples": SAMPLES}
    assert meta["head"] == ("waveform_aasist" if system == "aasist" else system[5:])
    assert meta["front_end"] == ("sinc" if system == "aasist" else "wav2vec2")


@pytest.mark.parametrize("system", HEADS)
def test_a_yaml_describes_the_published_system_in_full_size(system):
    hparams, *_ = load_hparams(f"hparams/{system}.yaml", ["--base_path=B"], objects=False)
    with torch.device("meta"):
        module = build_detector(hparams["model"], **detector_options(hparams))
    shapes = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    front = {n for n in shapes if n.startswith("m_ssl.")}
    if system == "aasist":
        assert not front and shapes["head.pos_S"] == (1, 23, 64)
        return
    assert len([n for n in front if n.endswith("fc1.weight")]) == 24
    sizes = {"xlsr_aasist": ("LL.weight", (128, 1024)), "xlsr_sls": ("fc1.weight", (1024, 22847))}
    name, shape = sizes[system]
    assert shapes[f"head.{name}"] == shape


def test_their_checkpoint_under_another_head_is_refused_by_its_names(tmp_path):
    torch.save(Theirs("xlsr_sls").state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match="missing .*head.pos_S.*head.fc0.*the head is another"):
        load_detector("xlsr_tiny", tmp_path / "a.pth", head={"name": "aasist"})


@pytest.mark.parametrize("yaml", [*HEADS, "wavlm_large"])
def test_what_the_forms_of_an_export_would_compute_otherwise_is_not_exported(yaml):
    hparams, *_ = load_hparams(f"hparams/{yaml}.yaml", ["--base_path=B"], objects=False)
    with pytest.raises(UserError, match="is not exported: the forms of a folder normalise whole"):
        refuse_other_front_ends(hparams)


@pytest.mark.slow
def test_aasist_on_the_waveform_trains_and_goes_on_exactly(toy_corpus, tmp_path):
    states = []
    for name in ("whole", "killed"):
        given = {"front_end": "{input_samples: 8000}", "train_crop_seconds": "[0.5, 0.5]"}
        run = make_run(toy_corpus, tmp_path / name, yaml="hparams/aasist.yaml", **given)
        if name == "killed":
            killed_run(*run, at="validated")
            run = make_run(toy_corpus, tmp_path / name, yaml="hparams/aasist.yaml", **given)
        run[0].fit_stream(*run[1:])
        states.append(run[0].detector.state_dict())
    assert len(states[0]) > 100
    for left, right in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(left, right)
