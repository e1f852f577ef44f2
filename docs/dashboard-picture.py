#!/usr/bin/env python3
"""Draws a dashboard as it looks with the demonstration's data: docs/dashboard-picture.png.

Starts `eks-nlb-exporter demo` and Prometheus with the shipped rules, waits, asks Prometheus every query of the dashboard's JSON,
draws the answers as a page, and takes a screenshot with headless Chromium. It is not Grafana that draws: places, titles, units,
colours, thresholds and columns come from the JSON, the numbers from Prometheus, and fonts and curves from here.

    docs/dashboard-picture.py [--dashboard FILE] [--seconds N] [--prometheus URL] [--out FILE]

Needs the debug build, prometheus and chromium. Only Python's standard library is used.
"""

import argparse
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "yellow": "#fade2a", "blue": "#5794f2"}
PALETTE = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#5794f2", "#ba43a9", "#b877d9", "#96d98d", "#ffcb7d", "#8f3bb8", "#37872d"]
ROW, GAP, WIDTH = 30, 8, 1600


# ---- asking ---------------------------------------------------------------------------------------------------------------

class Prometheus:
    def __init__(self, url, seconds):
        self.url, self.end, self.seconds = url, None, seconds

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]["result"]

    def instant(self, expr):
        return [(it["metric"], float(it["value"][1])) for it in self.ask("query", query=expr, time=self.end)]

    def range(self, expr):
        step = max(self.seconds / 240, 2)
        found = self.ask("query_range", query=expr, start=self.end - self.seconds, end=self.end, step=step)
        return [(it["metric"], [(at, float(value)) for at, value in it["values"]]) for it in found], step


def expand(dashboard, expr):
    variables = [it for it in dashboard["templating"]["list"] if it["type"] == "query"]
    for variable in sorted(variables, key=lambda it: -len(it["name"])):
        expr = expr.replace("$" + variable["name"], variable["allValue"])
    return expr.replace("$__rate_interval", "30s")


def legend(template, labels):
    if template == "__auto":
        return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__") or "value"
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template).strip()


# ---- saying ---------------------------------------------------------------------------------------------------------------

def number(value, decimals):
    if decimals is None:
        decimals = 0 if value == int(value) else (2 if abs(value) < 10 else 1)
    return f"{value:,.{decimals}f}".replace(",", " ")


def said(value, unit, decimals, now):
    if value != value:
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.{decimals or 0}f} %"
    if unit == "dateTimeFromNow":
        age = max(now - value / 1000, 0)
        for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
            if age >= length:
                count = int(age // length)
                return f"{count} {name}{'s' if count > 1 else ''} ago"
        return f"{int(age)} seconds ago"
    if unit == "s":
        return f"{value:.2f} s" if value < 10 and decimals is None else f"{value:.0f} s"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return number(value, decimals) + {"reqps": " req/s", "ops": " ops/s"}.get(unit, "")


def mapped(value, mappings):
    for mapping in mappings:
        if mapping["type"] == "value":
            key = value if isinstance(value, str) else f"{value:g}"
            if key in mapping["options"]:
                return mapping["options"][key]
    return {}


def threshold(value, thresholds):
    colour = thresholds["steps"][0]["color"]
    for step in thresholds["steps"]:
        if step["value"] is not None and value >= step["value"]:
            colour = step["color"]
    return COLOURS[colour]


def escaped(text):
    return html.escape(str(text))


# ---- drawing --------------------------------------------------------------------------------------------------------------

def empty(panel):
    return f'<div class="empty">{escaped(panel["fieldConfig"]["defaults"]["noValue"])}</div>'


def stat(panel, dashboard, prometheus):
    defaults = panel["fieldConfig"]["defaults"]
    boxes = []
    for target in panel["targets"]:
        for labels, value in prometheus.instant(expand(dashboard, target["expr"])):
            name = "" if target["legendFormat"] == "__auto" else legend(target["legendFormat"], labels)
            text = mapped(value, defaults["mappings"]).get("text") or said(value, defaults["unit"], defaults.get("decimals"), prometheus.end)
            boxes.append(f'<div class="stat" style="background:{threshold(value, defaults["thresholds"])}"><small>{escaped(name)}</small><b>{escaped(text)}</b></div>')
    return "".join(boxes) or f'<div class="stat none"><b>{escaped(defaults["noValue"])}</b></div>'


def table(panel, dashboard, prometheus):
    rows = {}
    many = len(panel["targets"]) > 1
    for target in panel["targets"]:
        name = f"Value #{target['refId']}" if many else "Value"
        for labels, value in prometheus.instant(expand(dashboard, target["expr"])):
            labels = {key: text for key, text in labels.items() if key != "__name__"}
            rows.setdefault(tuple(sorted(labels.items())), dict(labels))[name] = value
    if not rows:
        return empty(panel)
    organize = next(it["options"] for it in panel["transformations"] if it["id"] == "organize")
    columns = sorted({key for row in rows.values() for key in row if not organize["excludeByName"].get(key)},
                     key=lambda key: organize["indexByName"].get(key, 99))
    looks = {it["matcher"]["options"]: {property["id"]: property["value"] for property in it["properties"]} for it in panel["fieldConfig"]["overrides"]}
    shown = lambda key: looks.get(key, {}).get("displayName", key)
    lines = list(rows.values())
    for order in panel["options"].get("sortBy", []):
        key = next((it for it in columns if shown(it) == order["displayName"]), None)
        if key:
            lines.sort(key=lambda row: (key not in row, row.get(key, 0) if not isinstance(row.get(key), str) else row[key]), reverse=order["desc"])
    cells = []
    for row in lines:
        cells.append("<tr>")
        for key in columns:
            look, value = looks.get(key, {}), row.get(key)
            if value is None:
                cells.append("<td></td>")
                continue
            found = mapped(value, look.get("mappings", []))
            text = found.get("text") or (value if isinstance(value, str) else said(value, look.get("unit", "none"), look.get("decimals"), prometheus.end))
            colour = COLOURS.get(found.get("color", ""), "")
            if not colour and "thresholds" in look and not isinstance(value, str):
                colour = threshold(value, look["thresholds"])
            if "links" in look:
                colour = colour or COLOURS["blue"]
            side = "" if isinstance(value, str) else "text-align:right;"
            cells.append(f'<td style="{side}{"color:" + colour if colour else ""}">{escaped(text)}</td>')
        cells.append("</tr>")
    head = "".join(f"<th>{escaped(shown(key))}</th>" for key in columns)
    return f'<table><tr>{head}</tr>{"".join(cells)}</table>'


def bars(panel, dashboard, prometheus):
    defaults = panel["fieldConfig"]["defaults"]
    found = []
    for target in panel["targets"]:
        for labels, value in prometheus.instant(expand(dashboard, target["expr"])):
            found.append((legend(target["legendFormat"], labels), value))
    if not found:
        return empty(panel)
    most = defaults.get("max") or max([value for _, value in found] + [1])
    return "".join(
        f'<div class="bar"><span>{escaped(name)}</span><i><em style="width:{min(value / most, 1) * 100:.1f}%;background:{threshold(value, defaults["thresholds"])}"></em></i>'
        f'<b style="color:{threshold(value, defaults["thresholds"])}">{escaped(said(value, defaults["unit"], defaults.get("decimals"), prometheus.end))}</b></div>'
        for name, value in sorted(found, key=lambda it: -it[1]))


def clock(at):
    return time.strftime("%H:%M:%S", time.gmtime(at))


def axis(prometheus, left, width, height):
    marks = []
    for part in range(5):
        at = prometheus.end - prometheus.seconds + prometheus.seconds * part / 4
        x = left + width * part / 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        marks.append(f'<text x="{x:.0f}" y="{height - 4:.0f}" text-anchor="{anchor}">{clock(at)}</text>')
    return "".join(marks)


def series(panel, dashboard, prometheus, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    found, step = [], 2
    for target in panel["targets"]:
        ranges, step = prometheus.range(expand(dashboard, target["expr"]))
        found += [(legend(target["legendFormat"], labels), dict(values)) for labels, values in ranges]
    found.sort(key=lambda it: it[0])
    if not found:
        return empty(panel)
    side = min(width * 0.38, 330)
    left, plot, tall = 44, width - side - 56, height - 24
    times = sorted({at for _, values in found for at in values})
    ground = {at: 0.0 for at in times}
    lines = []
    for name, values in found:
        line = {}
        for at in times:
            if at in values:
                line[at] = values[at] + (ground[at] if stacked else 0)
                if stacked:
                    ground[at] = line[at]
        lines.append((name, values, line))
    top = max([value for _, _, line in lines for value in line.values()] + [1e-9]) * 1.08
    low = min([0.0] + [value for _, _, line in lines for value in line.values()])
    x = lambda at: left + plot * (at - prometheus.end + prometheus.seconds) / prometheus.seconds
    y = lambda value: 6 + (tall - 6) * (1 - (value - low) / (top - low))
    parts = []
    for part in range(4):
        value = low + (top - low) * part / 3
        parts.append(f'<line x1="{left}" x2="{left + plot}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/><text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{escaped(said(value, defaults["unit"], defaults.get("decimals"), prometheus.end))}</text>')
    for index, (_, _, line) in reversed(list(enumerate(lines))):
        colour, pieces, before = PALETTE[index % len(PALETTE)], [], None
        for at in sorted(line):
            if before is None or at - before > step * 1.5:
                pieces.append([])
            pieces[-1].append(at)
            before = at
        for piece in pieces:
            points = " ".join(f"{x(at):.1f},{y(line[at]):.1f}" for at in piece)
            if stacked:
                parts.append(f'<polygon points="{x(piece[0]):.1f},{y(low):.1f} {points} {x(piece[-1]):.1f},{y(low):.1f}" fill="{colour}" fill-opacity="0.45"/>')
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    rows = "".join(f'<tr><td><s style="background:{PALETTE[index % len(PALETTE)]}"></s>{escaped(name)}</td><td>{escaped(said(values[max(values)], defaults["unit"], defaults.get("decimals"), prometheus.end))}</td><td>{escaped(said(max(values.values()), defaults["unit"], defaults.get("decimals"), prometheus.end))}</td></tr>'
                   for index, (name, values, _) in enumerate(lines))
    return (f'<div class="chart"><svg width="{left + plot + 10:.0f}" height="{height:.0f}">{"".join(parts)}{axis(prometheus, left, plot, height)}</svg>'
            f'<table class="legend" style="width:{side - 10:.0f}px"><tr><th></th><th>Last</th><th>Max</th></tr>{rows}</table></div>')


def timeline(panel, dashboard, prometheus, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    target = panel["targets"][0]
    found, step = prometheus.range(expand(dashboard, target["expr"]))
    found = sorted((legend(target["legendFormat"], labels), values) for labels, values in found)
    if not found:
        return empty(panel)
    left = 14 + max(len(name) for name, _ in found) * 7
    plot, tall = width - left - 10, (height - 24) / len(found)
    x = lambda at: left + plot * (at - prometheus.end + prometheus.seconds) / prometheus.seconds
    parts = []
    for index, (name, values) in enumerate(found):
        middle = index * tall + tall / 2
        parts.append(f'<text x="{left - 8}" y="{middle + 4:.1f}" text-anchor="end">{escaped(name)}</text>')
        start = values[0]
        for number_of, (at, value) in enumerate(values):
            after = values[number_of + 1] if number_of + 1 < len(values) else None
            ends = after is None or after[1] != value or after[0] - at > step * 1.5
            if ends:
                end = min(at + step, prometheus.end) if after is None or after[0] - at > step * 1.5 else after[0]
                thick = min(tall * 0.85, 26)
                parts.append(f'<rect x="{x(start[0]):.1f}" width="{max(x(end) - x(start[0]) - 1, 1):.1f}" y="{middle - thick / 2:.1f}" height="{thick:.1f}" fill="{threshold(value, defaults["thresholds"])}" fill-opacity="0.85"/>')
                text = mapped(value, defaults["mappings"]).get("text") or said(value, defaults["unit"], defaults.get("decimals"), prometheus.end)
                if x(end) - x(start[0]) > 8 * len(text) + 6:
                    parts.append(f'<text x="{(x(start[0]) + x(end)) / 2:.1f}" y="{middle + 4:.1f}" text-anchor="middle" class="inside">{escaped(text)}</text>')
                start = after
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}{axis(prometheus, left, plot, height)}</svg>'


STYLE = """
* { box-sizing: border-box } body { margin: 0; background: #111217; color: #ccccdc; font: 13px/1.35 "DejaVu Sans", sans-serif; position: relative }
h1 { font-size: 19px; font-weight: 500; margin: 0; padding: 14px 16px 2px } h1 + p { margin: 0; padding: 0 16px; color: #8e8ea0 }
.panel { position: absolute; background: #181b1f; border: 1px solid #2a2d33; border-radius: 2px; overflow: hidden; display: flex; flex-direction: column }
.panel h3 { font-size: 13px; font-weight: 500; margin: 0; padding: 6px 10px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; flex: none }
.body { flex: 1; min-height: 0; overflow: hidden; display: flex; flex-direction: column; padding: 0 8px 6px }
.row { position: absolute; font-size: 16px; padding: 5px 4px } .row::before { content: "⌄  "; color: #8e8ea0 }
.stat { flex: 1; margin: 2px 0; border-radius: 2px; color: #111; display: flex; flex-direction: column; align-items: center; justify-content: center; min-height: 0 }
.stat b { font-size: 28px; font-weight: 600; line-height: 1.1; text-align: center } .stat small { font-size: 13px } .stat.none { background: #23262c; color: #aaa } .stat.none b { font-size: 15px }
.empty { margin: auto; color: #8e8ea0; text-align: center; padding: 0 10px }
table { border-collapse: collapse; width: 100%; font-size: 12px } th { text-align: left; color: #6e9fff; font-weight: 500 } th, td { padding: 4px 7px; border-bottom: 1px solid #2a2d33; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 330px }
.chart { display: flex; align-items: flex-start } .legend { font-size: 11px; flex: none } .legend td, .legend th { padding: 1px 5px; border: 0; max-width: 215px } .legend td + td, .legend th + th { text-align: right }
s { display: inline-block; width: 14px; height: 4px; margin: 0 6px 3px 0 } svg text { fill: #9a9aad; font-size: 11px } svg .inside { fill: #111 } .grid { stroke: #2a2d33 }
.bar { display: flex; align-items: center; gap: 8px; flex: 1; max-height: 40px; min-height: 20px; font-size: 12px } .bar span { width: 45%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap } .bar i { flex: 1; background: #23262c; height: 55% } .bar em { display: block; height: 100% } .bar b { min-width: 46px; text-align: right; font-weight: 500 }
"""


def page(dashboard, prometheus):
    unit = (WIDTH - 2 * GAP) / 24
    top, parts, bottom = 64, [], 0
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        left, width = GAP + grid["x"] * unit, grid["w"] * unit - GAP
        y, height = top + grid["y"] * (ROW + GAP), grid["h"] * (ROW + GAP) - GAP
        bottom = max(bottom, y + height)
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="left:{left:.0f}px;top:{y:.0f}px">{escaped(panel["title"])}</div>')
            continue
        inner = (width - 18, height - 36)
        body = {
            "stat": lambda: stat(panel, dashboard, prometheus),
            "table": lambda: table(panel, dashboard, prometheus),
            "bargauge": lambda: bars(panel, dashboard, prometheus),
            "timeseries": lambda: series(panel, dashboard, prometheus, *inner),
            "state-timeline": lambda: timeline(panel, dashboard, prometheus, *inner),
        }[panel["type"]]()
        parts.append(f'<div class="panel" style="left:{left:.0f}px;top:{y:.0f}px;width:{width:.0f}px;height:{height:.0f}px"><h3>{escaped(panel["title"])}</h3><div class="body">{body}</div></div>')
    height = int(bottom + GAP)
    head = f'<h1>{escaped(dashboard["title"])}</h1><p>{escaped(dashboard["description"])}</p>'
    return f'<!doctype html><meta charset="utf-8"><title>{escaped(dashboard["title"])}</title><style>{STYLE}</style><body style="height:{height}px">{head}{"".join(parts)}', height


# ---- running --------------------------------------------------------------------------------------------------------------

def free_port():
    import socket
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(what, seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"{what}: not within {seconds} seconds")


def demonstration(folder, seconds, started):
    """Starts the exporter's demonstration and Prometheus, and gives the latter's URL when it has scraped long enough."""
    target = os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/eks-nlb-exporter/target")
    log = open(folder / "exporter.log", "w+")
    command = [Path(target) / "debug/eks-nlb-exporter", "demo", "--time-scale", "4", "--web.listen-address", "127.0.0.1:0", "--log.format", "json"]
    started.append(subprocess.Popen(command, stdout=log, stderr=log))
    address = until("the exporter listens", 30, lambda: (found := re.search(r'"address":"([^"]+)"', (folder / "exporter.log").read_text())) and found[1])
    config = {"global": {"scrape_interval": "2s", "evaluation_interval": "2s"}, "rule_files": [str(ROOT / "alerts/rules.yaml")],
              "scrape_configs": [{"job_name": "eks-nlb-exporter", "honor_labels": True, "static_configs": [{"targets": [address]}]}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    url = f"http://127.0.0.1:{port}"
    until("Prometheus answers", 60, lambda: urllib.request.urlopen(f"{url}/-/ready").status == 200)
    time.sleep(seconds)
    return url


def screenshot(text, height, out, folder):
    (folder / "page.html").write_text(text)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("chromium is not in PATH (Debian package chromium)")
    subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/chromium",
                    f"--window-size={WIDTH},{height}", f"--screenshot={folder}/page.png", f"file://{folder}/page.html"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    shutil.copy(folder / "page.png", out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dashboard", default=ROOT / "dashboards/overview.json", type=Path, help="its file")
    parser.add_argument("--seconds", default=145, type=int, help="how long to look, and the time that is drawn")
    parser.add_argument("--prometheus", metavar="URL", help="one that has scraped already, instead of the demonstration")
    parser.add_argument("--out", default=ROOT / "docs/dashboard-picture.png", type=Path, help="the picture")
    arguments = parser.parse_args()
    dashboard = json.loads(arguments.dashboard.read_text())
    started = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            url = arguments.prometheus or demonstration(Path(folder), arguments.seconds, started)
            prometheus = Prometheus(url, arguments.seconds)
            prometheus.end = time.time()
            text, height = page(dashboard, prometheus)
            screenshot(text, height, arguments.out, Path(folder))
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(10)


if __name__ == "__main__":
    main()
