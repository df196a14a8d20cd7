"""Word tables that several databases share: what a folder or a list calls a class or a split."""

REAL_OR_FAKE = {"real": "real", "fake": "fake"}
BONAFIDE_OR_SPOOF = {"bonafide": "real", "spoof": "fake"}
TRAIN_DEV_TEST = {"train": "train", "dev": "valid", "test": "test"}
TRAIN_DEV_EVAL = {"train": "train", "dev": "valid", "eval": "test"}

LIBRITTS_SUBSETS = {
    "train-clean-100": "train",
    "train-clean-360": "train",
    "train-other-500": "train",
    "dev-clean": "valid",
    "dev-other": "valid",
    "test-clean": "test",
    "test-other": "test",
}
