"""Synthesis of the two corpora this project can make by itself: `demo` and `asterisk_prompts`."""
