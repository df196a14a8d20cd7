"""Protocols of your own data: the three published patterns."""
