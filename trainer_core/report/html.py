"""A report as one HTML file that opens offline: the Markdown rendered, its pictures inside."""

import base64
import html
from collections.abc import Mapping
from typing import Any

from markdown_it import MarkdownIt

# Readable on any screen, light and dark; nothing is fetched from anywhere.
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 0.9em; }
th, td { border: 1px solid #8886; padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 4rem; }
th:empty { padding: 0; border: 0; }
img { max-width: 100%; background: white; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { overflow-x: auto; background: #8882; padding: 0.6rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886; }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}</body>
</html>
"""


def page_of(markdown: str, title: str, pictures: Mapping[str, bytes]) -> str:
    """The page of a report. `pictures` are the images that it names, as PNG; an image of another
    name is left out, and HTML within the text stays text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    data = {name: _data_of(picture) for name, picture in pictures.items()}

    def image(tokens: Any, index: int, *_: Any) -> str:
        token = tokens[index]
        source, said = data.get(str(token.attrs.get("src"))), html.escape(token.content)
        return f'<img src="{source}" alt="{said}">' if source else said

    parser.add_render_rule("image", lambda _self, tokens, index, *rest: image(tokens, index, *rest))
    return _PAGE.format(title=html.escape(title), style=_STYLE, body=parser.render(markdown))


def _data_of(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
