"""The page of a report, from plain values: the HTML around it, its pictures, its tables and its settings."""

import base64
import html
import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np
from etils import epath
from matplotlib.figure import Figure

from sergan import fonts, writers

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1c2024; --soft: #5c6670; --line: #d5dade; --page: #ffffff; --tint: #eef4f9;
  --mark: #0b5c94; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #a3adb6; --line: #41474d; --page: #1a1a1a; --tint: #22303b;
    --mark: #7fc1ef; }
  img { filter: invert(.898) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .4rem 0; max-width: 62rem; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.answer { background: var(--tint); border-left: 4px solid var(--mark); padding: .75rem 1rem; margin: 1rem 0;
  font-size: 1.1rem; }
.missing { color: var(--soft); font-style: italic; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; margin: .5rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
caption span { display: inline-block; max-width: min(60rem, 92vw); }
th, td { padding: .25rem 1.1rem .25rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
th.word, td.word { text-align: left; }
tr.first td { border-top: 2px solid var(--line); }
table.wrap th, table.wrap td.word, table.dense th { white-space: normal; }
table.wrap th, table.wrap td { padding-right: .9rem; }
table.wrap td { vertical-align: top; }
table.dense { font-size: .75rem; }
table.dense th, table.dense td { padding-right: .5rem; }
td strong { color: var(--mark); }
figure { margin: 1rem 0; }
img { display: block; max-width: 100%; height: auto; }
audio { display: block; width: 10.5rem; height: 2rem; }
pre { background: var(--tint); padding: .6rem .8rem; font-size: .8125rem; line-height: 1.45;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0; }
pre.columns { columns: 22rem; column-gap: 2rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3 { break-after: avoid; }
  figure, table, .answer { break-inside: avoid; }
  .wide { overflow: visible; }
  table.sounds { display: none; }
  table { font-size: 8pt; }
}
</style>
</head>
<body>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its file's name, what it shows in words, and what is said below it."""

    name: str
    figure: Figure
    alt: str
    caption: str = ""


class Strong(str):
    """A table cell to be shown in bold."""


def show(pictures: Iterable[Picture], folder: epath.Path) -> str:
    """Saves pictures in a folder; returns the HTML that shows them, each inlined."""
    parts = []
    for picture in pictures:
        buffer = io.BytesIO()
        fonts.widen(picture.figure)
        picture.figure.savefig(buffer, format="png", dpi=120, facecolor="white", metadata={"Software": None})
        with writers.replacing(folder / picture.name) as file:
            file.write(buffer.getvalue())
        data = base64.b64encode(buffer.getvalue()).decode()
        caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>" if picture.caption else ""
        alt = html.escape(picture.alt, quote=True)
        parts.append(f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">{caption}</figure>\n')
    return "".join(parts)


def player(path: epath.Path, name: str) -> str:
    """HTML that plays a flac file, which is inlined; `name` is what a screen reader says."""
    data = base64.b64encode(path.read_bytes()).decode()
    label = html.escape(name, quote=True)
    return f'<audio controls preload="none" aria-label="{label}" src="data:audio/flac;base64,{data}"></audio>'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: int,
    caption: str = "",
    marks: Sequence[int] = (),
    style: str = "",
) -> str:
    """An HTML table: the first `words` columns left, the others right, a line above rows `marks`.

    With style "wrap" words and headings may take several lines; "dense" is for many narrow columns.
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [' class="word"' if i < words else "" for i in range(len(row))]
        texts = [
            f"<strong>{html.escape(c)}</strong>" if isinstance(c, Strong) else html.escape(c) for c in row
        ]
        return "".join(f"<{tag}{k}>{text}</{tag}>" for k, text in zip(kinds, texts, strict=True))

    lines = [' class="first"' if i in marks and i else "" for i in range(len(rows))]
    body = "\n".join(f"<tr{line}>{cells('td', row)}</tr>" for line, row in zip(lines, rows, strict=True))
    title = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    kind = f' class="{style}"' if style else ""
    head = f"<thead><tr>{cells('th', header)}</tr></thead>"
    return f'<div class="wide"><table{kind}>{title}{head}<tbody>\n{body}\n</tbody></table></div>\n'


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """The same table in plain text: columns aligned, a line below the header, `*` in front of `Strong`."""
    marked = [header, *([f"* {c}" if isinstance(c, Strong) else c for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in marked) for i in range(len(header))]
    lines = []
    for row in marked:
        left = [cell.ljust(width) for cell, width in zip(row[:words], widths[:words], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[words:], widths[words:], strict=True)]
        lines.append("  ".join(left + right).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def file_name(text: str) -> str:
    """Text as part of a file's name."""
    return re.sub(r"[^\w+-]+", "_", text)


def percent(value: float) -> str:
    """A share in per cent, `-` where there is none."""
    return f"{100 * value:.1f}" if np.isfinite(value) else "-"


def settings(record: Mapping[str, Any], folder: epath.Path) -> str:
    """What config.json says of a run as HTML: how to run it again, on what it ran, its config."""
    devices = ", ".join(map(str, record.get("devices", []))) or "not known yet"
    overrides = (
        ", ".join(f"{key} = {value_words(v)}" for key, v in record.get("overrides", {}).items()) or "none"
    )
    facts = {
        "Commit": record.get("commit", "unknown"),
        "Machine": record.get("machine", "unknown"),
        "Devices": devices,
        "Overrides": overrides,
        "Versions": ", ".join(f"{name} {v}" for name, v in record.get("versions", {}).items()),
    }
    lines = "".join(f"<p><b>{key}:</b> {html.escape(str(value))}</p>\n" for key, value in facts.items())
    stages = [[stage, writers.clock(seconds)] for stage, seconds in record.get("stages", {}).items()]
    config = "\n".join(f"{key} = {value_words(value)}" for key, value in flat(record.get("config", {})))
    again = record.get("command", "")
    report = f"python launch.py --mode=report --workdir={shlex.quote(str(folder))}"
    return (
        "<h3>To run it again</h3>\n"
        f"<pre>{html.escape(again)}</pre>\n<p>This page alone, from the same run folder:</p>\n"
        f"<pre>{html.escape(report)}</pre>\n<h3>On what</h3>\n{lines}"
        f"<h3>Time per stage</h3>\n{table(['Stage', 'min:s'], stages, 1)}"
        f'<h3>Config</h3>\n<pre class="columns">{html.escape(config)}</pre>'
    )


def flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested keys as dotted ones, in order."""
    lines: list[tuple[str, Any]] = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        lines += flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return lines


def value_words(value: Any) -> str:
    """A config's value as a reader sees it: words as they stand, all else as JSON."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
