"""Post-training and fine-tuning: a SpeechBrain Brain, its stream, state and checkpoints."""
