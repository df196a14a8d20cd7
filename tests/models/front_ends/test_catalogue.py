"""Front ends by name: engines, their options, and what does not go together."""

import pytest

from dataio.schema import UserError
from hparams.load import CHOICES
from models.detector import build_detector
from models.front_ends.catalogue import ENGINES


def test_a_yaml_can_name_every_engine_and_no_other():
    assert CHOICES["ssl_engine"] == tuple(ENGINES)


@pytest.mark.parametrize(
    ("model", "front_end", "head", "words"),
    [
        ("w2v_tiny", {"engine": "native2"}, {}, "unknown ssl_engine 'native2': choose one of nat"),
        ("w2v_tiny", {"source": "x"}, {}, "unknown option 'source' of front_end with engine nat"),
        ("w2v_tiny", {"normalize": True}, {}, "choose among engine, normalise, input_samples, inp"),
        ("w2v_tiny", {"engine": "sinc"}, {}, "weights that engine sinc has no place for"),
        ("aasist", {}, {}, "unknown model 'aasist' to engines native and fairseq"),
        ("aasist", {"engine": "sinc"}, {}, "head mean_linear reads frames of 20 ms, and the fr"),
        ("aasist", {"engine": "sinc"}, {"name": "aasist"}, "gives outputs of filters: waveform_aa"),
        ("w2v_tiny", {}, {"name": "waveform_aasist"}, "reads outputs of filters, and the front e"),
    ],
)
def test_what_no_detector_is_made_of_is_refused(model, front_end, head, words):
    with pytest.raises(UserError, match=words):
        build_detector(model, front_end=front_end, head=head)
