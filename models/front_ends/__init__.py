"""SSL front ends: waveforms (B, T) and lengths to hidden states (B, F, D)."""
