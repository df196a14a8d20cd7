"""Heads: hidden states (B, F, D) to logits (B, 2) and embedding (B, D)."""
