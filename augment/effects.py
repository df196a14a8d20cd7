"""The table of channel effects by YAML name."""

EFFECTS: dict[str, type] = {}
