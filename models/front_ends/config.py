"""What distinguishes one SSL front end from another, and the table of the ones we know.

The eight published architectures differ in a dozen numbers; the tiny ones exist so that tests and
the demo run every code path (both extractor norms, both transformer orders, both families) in
seconds. Numbers are those of the fairseq configurations the public pre-training files were made
with.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from dataio.schema import UserError

CONV_KERNELS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))  # (kernel, stride)
HOP = 320  # samples from one frame to the next: the product of the strides, 20 ms
RECEPTIVE_FIELD = 400  # samples one frame sees, 25 ms; nothing shorter makes a frame

FAIRSEQ = "https://github.com/facebookresearch/fairseq/tree/main/examples"


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig:
    """The hyper-parameters of one front end; defaults are what the large models share.

    `conv_norm` is "group" (one group norm over time, after the first convolution) or "layer" (a
    layer norm over channels after each). `pre_norm` puts the layer norms of the transformer before
    its blocks. Drop rates are probabilities. `final_dim`, `quantizer_entries` and `label_count`
    shape tensors that checkpoints hold and detection never uses.
    """

    name: str
    family: str = "wav2vec2"  # or "hubert"
    embed_dim: int
    layers: int
    heads: int
    ffn_dim: int
    conv_dim: int = 512
    conv_norm: str = "layer"
    conv_bias: bool = True
    pre_norm: bool = True
    pos_kernel: int = 128
    pos_groups: int = 16
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    layerdrop: float = 0.0
    dropout_input: float = 0.0
    feature_grad_mult: float = 1.0
    final_dim: int
    quantizer_groups: int = 2
    quantizer_entries: int = 320  # in each group
    label_count: int = 504  # HuBERT's cluster labels
    pretraining_file: str | None = None  # its usual name; None: starts from random weights
    pretraining_source: str | None = None  # where to get it

    def refuse_contradictions(self) -> None:
        """UserError where the two engines that share fairseq's names have no such form."""
        if self.conv_norm == "group" and self.conv_bias:
            raise UserError(
                f"front end {self.name}: conv_bias and conv_norm 'group' exclude each other, since "
                "the norm removes the first bias; set conv_bias to False"
            )
        if self.embed_dim == self.conv_dim:
            raise UserError(
                f"front end {self.name}: embed_dim and conv_dim must differ, or fairseq's form of "
                "it has no post_extract_proj"
            )

    def with_overrides(self, **changes: object) -> FrontEndConfig:
        """This configuration with some fields changed; an unknown field is a UserError."""
        known = {field.name for field in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise UserError(
                f"unknown front-end option {unknown[0]!r} for model {self.name}: "
                f"choose among {', '.join(sorted(known))}"
            )
        changed = replace(self, **changes)
        changed.refuse_contradictions()
        return changed


BASE = FrontEndConfig(
    name="w2v_small",
    embed_dim=768,
    layers=12,
    heads=12,
    ffn_dim=3072,
    conv_norm="group",
    conv_bias=False,
    pre_norm=False,
    dropout=0.1,
    attention_dropout=0.1,
    layerdrop=0.05,
    dropout_input=0.1,
    feature_grad_mult=0.1,
    final_dim=256,
    pretraining_file="wav2vec_small.pt",
    pretraining_source=f"{FAIRSEQ}/wav2vec (wav2vec 2.0 Base, no fine-tuning)",
)
LARGE = FrontEndConfig(
    name="w2v_large",
    embed_dim=1024,
    layers=24,
    heads=16,
    ffn_dim=4096,
    final_dim=768,
    pretraining_file="w2v_large_lv_fsh_swbd_cv.pt",
    pretraining_source=f"{FAIRSEQ}/wav2vec (Large LV-60 + CV + SWBD + FSH, no fine-tuning)",
)
ONE_BILLION = FrontEndConfig(
    name="mms_1b",
    embed_dim=1280,
    layers=48,
    heads=16,
    ffn_dim=5120,
    dropout_input=0.1,
    final_dim=1024,
    pretraining_file="base_1b.pt",
    pretraining_source=f"{FAIRSEQ}/mms (pretrained models, MMS-1B)",
)
HUBERT_XL = FrontEndConfig(
    name="hubert_xtralarge",
    family="hubert",
    embed_dim=1280,
    layers=48,
    heads=16,
    ffn_dim=5120,
    conv_bias=False,
    final_dim=1024,
    pretraining_file="hubert_xtralarge_ll60k.pt",
    pretraining_source=f"{FAIRSEQ}/hubert (Extra Large ~1B, Libri-Light 60k h, no fine-tuning)",
)
# Narrow, shallow and without dropout, yet with the real convolution geometry: 50 frames a second.
# Every dimension differs from its neighbours so that a swapped axis shows as a shape error.
TINY = FrontEndConfig(
    name="w2v_tiny",
    embed_dim=144,
    layers=3,
    heads=4,
    ffn_dim=384,
    conv_dim=96,
    conv_norm="group",
    conv_bias=False,
    pre_norm=False,
    dropout=0.05,
    attention_dropout=0.05,
    layerdrop=0.05,
    dropout_input=0.05,
    final_dim=32,
    quantizer_entries=8,
    label_count=12,
)

CONFIGS: dict[str, FrontEndConfig] = {
    config.name: config
    for config in (
        BASE,
        LARGE,
        replace(
            LARGE,
            name="mms_300m",
            pretraining_file="base_300m.pt",
            pretraining_source=f"{FAIRSEQ}/mms (pretrained models, MMS-300M)",
        ),
        replace(
            LARGE,
            name="xlsr_300m",
            pretraining_file="xlsr2_300m.pt",
            pretraining_source=f"{FAIRSEQ}/wav2vec/xlsr (XLS-R 300M)",
        ),
        ONE_BILLION,
        replace(
            ONE_BILLION,
            name="xlsr_1b",
            pretraining_file="xlsr2_960m_1000k.pt",
            pretraining_source=f"{FAIRSEQ}/wav2vec/xlsr (XLS-R 1B)",
        ),
        replace(
            ONE_BILLION,
            name="xlsr_2b",
            embed_dim=1920,
            ffn_dim=7680,
            pretraining_file="xlsr2_2B_1000k.pt",
            pretraining_source=f"{FAIRSEQ}/wav2vec/xlsr (XLS-R 2B)",
        ),
        HUBERT_XL,
        replace(
            HUBERT_XL,
            name="hubert_large",
            embed_dim=1024,
            layers=24,
            ffn_dim=4096,
            final_dim=768,
            pretraining_file="hubert_large_ll60k.pt",
            pretraining_source=f"{FAIRSEQ}/hubert (Large, Libri-Light 60k h, no fine-tuning)",
        ),
        TINY,
        replace(TINY, name="xlsr_tiny", conv_norm="layer", conv_bias=True, pre_norm=True),
        replace(TINY, name="hubert_tiny", family="hubert", conv_norm="layer", pre_norm=True),
    )
}
TINY_MODELS = tuple(name for name in CONFIGS if name.endswith("_tiny"))


def get_config(model_name: str) -> FrontEndConfig:
    """The configuration called `model_name`; an unknown name is a UserError listing the known."""
    try:
        return CONFIGS[model_name]
    except KeyError:
        raise UserError(
            f"unknown model {model_name!r} to engines native and fairseq: choose one of "
            + ", ".join(CONFIGS)
        ) from None


def frame_count(samples: int) -> int:
    """Frames the convolutions make of `samples` samples (0 below the receptive field)."""
    for kernel, stride in CONV_KERNELS:
        samples = (samples - kernel) // stride + 1
    return max(samples, 0)
