#!/usr/bin/env bash
# Writes what the program knows of itself into the documentation; with --check it only says what differs.
set -euo pipefail
cd "$(dirname "$0")/.."

exporter=${CARGO_TARGET_DIR:-$HOME/.cache/eks-nlb-exporter/target}/debug/eks-nlb-exporter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# between FILE MARKER: the file with what stands between its two markers replaced by standard input.
between() {
  python3 - "$1" "$2" 3<&0 <<'PY'
import os, re, sys
path, marker = sys.argv[1:]
new = os.fdopen(3).read().strip("\n")
text = open(path).read()
pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.S)
if not pattern.search(text):
    sys.exit(f"{path} has no <!-- {marker} --> … <!-- /{marker} -->")
sys.stdout.write(pattern.sub(lambda match: match[1] + new + "\n" + match[2], text))
PY
}

{
  echo "# Metrics"
  echo
  echo "Every family this program can expose, as printed by \`eks-nlb-exporter metrics\`. All names begin with \`eks_nlb_\`."
  echo
  "$exporter" metrics
} >"$work/metrics.md"
{ echo '```text'; COLUMNS=120 "$exporter" serve -h | sed 's/ *$//'; echo '```'; } >"$work/flags"
{
  echo "AWS, every action read only:"
  echo
  "$exporter" iam-policy --format markdown
  echo
  echo "Kubernetes:"
  echo
  "$exporter" rbac
} >"$work/permissions"
between docs/iam.md permissions <"$work/permissions" >"$work/iam.md"
mkdir -p deploy/iam
"$exporter" iam-policy >"$work/policy.json"
"$exporter" iam-policy --format terraform >"$work/policy.tf"

{
  echo "# Findings"
  echo
  echo "Every finding this program can make, as printed by \`eks-nlb-exporter findings\`. A code never changes its meaning."
  echo "1xx are about targets, 2xx subnets, 3xx security groups, 4xx quotas, 5xx differences from the annotations, 6xx the"
  echo "annotations themselves, 7xx ownership, 9xx the exporter's own view."
  echo
  "$exporter" findings
} >"$work/findings.md"
{
  echo "# Configuration"
  echo
  echo "Flags say how the daemon runs, the file that \`--config.file\` names says how it judges; a few things both can say, and the"
  echo "flag wins. This page is what the program prints, by \`eks-nlb-exporter serve --help\` and \`eks-nlb-exporter config --format"
  echo "markdown\`; without \`--format\` the latter prints a file to begin with. [configuration-example.yaml](configuration-example.yaml)"
  echo "says every key once. How the file is checked and reloaded: [install.md](install.md#the-configuration-file)."
  echo
  echo "## Flags"
  echo
  echo "Where a flag has a variable, it stands in brackets; the flag wins over it."
  echo
  cat "$work/flags"
  echo
  "$exporter" config --format markdown
} >"$work/configuration.md"
"$exporter" rules >"$work/rules.yaml"
"$exporter" rules --format prometheusrule >"$work/prometheusrule.yaml"

# One for each: all together would be too large for kubectl apply.
for file in dashboards/*.json; do
  name=eks-nlb-$(basename "$file")
  [ -s "$work/configmap.yaml" ] && echo ---
  echo "apiVersion: v1"
  echo "kind: ConfigMap"
  echo "metadata:"
  echo "  name: ${name%.json}-dashboard"
  echo "  labels:"
  echo "    app.kubernetes.io/name: eks-nlb-exporter"
  echo '    grafana_dashboard: "1"'
  echo "data:"
  echo "  $name: |"
  sed 's/^./    &/' "$file"
done >"$work/configmap.yaml"

status=0
place() { # NEW OLD
  if [ "${check:-}" ]; then
    diff -u "$2" "$1" >&2 || { echo "$2 is not what the program prints: run make docs" >&2; status=1; }
  else
    cp "$1" "$2"
  fi
}
[ "${1:-}" = --check ] && check=1
place "$work/metrics.md" docs/metrics.md
place "$work/findings.md" docs/findings.md
place "$work/configuration.md" docs/configuration.md
place "$work/iam.md" docs/iam.md
place "$work/policy.json" deploy/iam/policy.json
place "$work/policy.tf" deploy/iam/policy.tf
place "$work/rules.yaml" alerts/rules.yaml
place "$work/prometheusrule.yaml" alerts/prometheusrule.yaml
place "$work/configmap.yaml" dashboards/configmap.yaml
exit $status
