"""HTML pages written whole, in which every word is escaped unless it was made here as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

# No script at all, whoever wrote it; a page's style lies in it, also in its drawings.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def html(template: str, *words: object, **named: object) -> Markup:
    """`template.format(...)`, where whatever is filled in is escaped unless it is HTML already."""
    return Markup(template).format(*words, **named)


def join(parts: Iterable[object], between: str = "") -> Markup:
    """The parts one after another; what is no HTML yet is escaped."""
    return Markup(between).join(parts)


def render(template: Path, *, policy: str = POLICY, **values: object) -> str:
    """A page from a jinja2 template that escapes by default; `policy` is its CSP."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    page = environment.from_string(template.read_text(encoding="utf-8"))
    return page.render(policy=policy, **values) + "\n"
