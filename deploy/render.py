#!/usr/bin/env python3
"""Writes what is made from the chart and for it: the plain manifests, and the chart's copies of rules and dashboards.

    render.py [--check]      in an environment with PyPI's helm-python-sdk
"""

import pathlib
import sys

import helm_python

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/eks-nlb-exporter"
MANIFESTS = ROOT / "deploy/manifests"
NAMESPACE = "eks-nlb-exporter"

# What a person applies who has no Helm: the daemon, and on top what needs the Prometheus operator.
PLAIN = {"commonLabels": {}}
OPERATOR = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}

NAMESPACE_OBJECT = f"""apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def documents(values):
    """The chart's objects with these values, by template; without the labels that speak of Helm."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="eks-nlb-exporter", namespace=NAMESPACE)
    found = []
    for path, text in sorted(rendered.items()):
        if path.endswith(".txt") or not text.strip():
            continue
        lines = [line.rstrip() for line in text.splitlines()]
        helm = ("helm.sh/chart:", "app.kubernetes.io/managed-by: Helm")
        lines = [line for line in lines if not line.strip().startswith(helm)]
        body = "\n".join(lines).strip()
        found.append((pathlib.PurePath(path).stem, body.removeprefix("---\n")))
    return found


def manifest(pairs, first=()):
    head = "# Rendered from the Helm chart by deploy/render.py: change the chart, then run make manifests.\n"
    return head + "---\n" + "\n---\n".join([text.strip() for text in first] + [text for _, text in pairs]) + "\n"


def wanted():
    """Every generated file with its content."""
    files = {CHART / "files/rules.yaml": (ROOT / "alerts/rules.yaml").read_text()}
    for dashboard in sorted((ROOT / "dashboards").glob("*.json")):
        files[CHART / "files/dashboards" / dashboard.name] = dashboard.read_text()
    return files


def place(files, check):
    """Writes the files, or says which differ."""
    stale = [path for path in (CHART / "files/dashboards").glob("*.json") if path not in files]
    different = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check:
        return different + [path for path in stale if path.parent == CHART / "files/dashboards"]
    for path in different:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    for path in stale:
        path.unlink()
    return []


def main():
    check = "--check" in sys.argv[1:]
    copies = wanted()
    # The copies go into the chart first: the manifests are rendered from them.
    wrong = place(copies, check)
    plain = documents(PLAIN)
    operator = [pair for pair in documents(OPERATOR) if pair[0] in ("servicemonitor", "prometheusrule")]
    files = copies | {
        MANIFESTS / "eks-nlb-exporter.yaml": manifest(plain, [NAMESPACE_OBJECT]),
        MANIFESTS / "prometheus-operator.yaml": manifest(operator),
    }
    wrong = sorted(set(wrong) | set(place(files, check)))
    for path in wrong:
        print(f"{path.relative_to(ROOT)} is not what deploy/render.py makes: run make manifests", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
