"""Stored weights: files of strangers to checked tensors; nothing a file says is ever run."""
