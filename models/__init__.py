"""SSL front ends, detectors, checkpoints, training and scoring."""

TOOLKIT_VERSION = "0.1.0"  # as in pyproject.toml; written beside scores and embeddings
