"""Protocols or audio files to scores and embeddings."""
