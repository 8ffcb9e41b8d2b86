"""A report of rows as one HTML file that needs nothing else: tables, plots, the scenario."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.measure import MARKS, Row
from sim.scenario import said
from sim.summary import Summary, summarise

_STYLE = """body { font: 15px/1.45 system-ui, sans-serif; max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; }
td, th { padding: .25rem .55rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #888; } td:first-child, th:first-child { text-align: left; }
img { max-width: 100%; } .wide { overflow-x: auto; } pre { background: #8881; padding: .7rem; overflow-x: auto; }
.never { color: #999; } .ours { font-weight: 600; }"""
NEVER = "-"


def html_report(rows: Sequence[Row], plots: Sequence[Path], values: Mapping[str, Any]) -> str:
    """The text of the file. values: the scenario as written."""
    found = summarise(rows)
    title = html.escape(rows[0].scenario)
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(str(values.get('about', '')))}</p>"]
    points = list({repr(each.point): each.point for each in found}.values())
    for point in points:
        if point:
            parts.append(f"<h2>{html.escape(said(point))}</h2>")
        parts.append(_table([each for each in found if each.point == point]))
    parts.append(f"<p>{NOTE}</p>")
    for path in plots:
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(f'<p><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}"></p>')
    shown = html.escape(json.dumps(dict(values), indent=2, default=str))
    parts.append(f"<h2>Scenario</h2><pre>{shown}</pre>")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return head + "</head><body>" + "\n".join(parts) + "</body></html>\n"


NOTE = (
    "Times are medians in seconds until something was there; - means that it was not in most runs. Area: mean"
    " SSIMULACRA2 over the looks, which stand evenly in the logarithm of the time; below 0 and nothing at all count as"
    " 0. Goodput: bytes of use over what the link could have carried until the last of them. Wasted: the share of the"
    " bytes arrived that was of no use. Share: our bytes of use over ours and those of greedy flows beside."
    " Worse: looks at a picture worse than the one before."
)
COLUMNS = ("codec", *MARKS, "area", "worse", "goodput", "wasted", "share", "wire B", "runs")


def cells(each: Summary) -> list[str]:
    """A summary's cells under COLUMNS."""
    shares = [NEVER if share is None else f"{share:.0%}" for share in (each.goodput, each.wasted, each.fairness)]
    area = NEVER if each.area is None else f"{each.area:.1f}"
    worse = NEVER if each.regressions is None else str(each.regressions)
    times = [seconds(each.times[mark]) for mark in MARKS]
    return [each.codec, *times, area, worse, *shares, f"{each.wire:,.0f}", str(each.runs)]


def seconds(time: float) -> str:
    """Three figures, or a dash for never."""
    if not math.isfinite(time):
        return NEVER
    return f"{time:.2f}" if time < 100 else f"{time:,.0f}"


def _table(found: Sequence[Summary]) -> str:
    """Columns of nothing but dashes are left out."""
    lines = [cells(each) for each in found]
    kept = [place for place in range(len(COLUMNS)) if any(line[place] != NEVER for line in lines)]
    head = "".join(f"<th>{html.escape(COLUMNS[place])}</th>" for place in kept)
    body = ""
    for place, line in enumerate(lines):
        row = "".join(f"<td{' class=never' * (line[n] == NEVER)}>{html.escape(line[n])}</td>" for n in kept)
        body += f"<tr{' class=ours' * (place == 0)}>{row}</tr>"
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
