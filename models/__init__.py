"""SSL front ends, detectors, checkpoints, training and scoring."""
