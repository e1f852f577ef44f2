#!/usr/bin/env bash
# Takes the pictures of the status page for the documentation: docs/status-page.png, -dark.png and -phone.png.
#
# Starts the demonstration, waits for the moment of its story at which a zone is dark, a subnet and a security group are full,
# AWS differs from an annotation and a Service is blocked, and looks with headless Chromium. Takes a minute and a half; needs
# the debug build, and what `tests/peers.sh browser` installs.
set -euo pipefail
cd "$(dirname "$0")/.."

exporter=${CARGO_TARGET_DIR:-$HOME/.cache/eks-nlb-exporter/target}/debug/eks-nlb-exporter
work=$(mktemp -d)
pid=
cleanup() {
  [ -z "$pid" ] || { kill "$pid" && wait "$pid" || true; }
  rm -rf "$work"
}
trap cleanup EXIT

# What waits for minutes in a real cluster is to be seen within the story.
cat >"$work/config.yml" <<'YAML'
policy: {drift_hold_down_seconds: 10, target_hold_down_seconds: 10}
aws:
  refresh_seconds: {subnets: 5, load_balancers: 5}
YAML
"$exporter" demo --config.file "$work/config.yml" --web.listen-address 127.0.0.1:0 --log.format json >"$work/demo" 2>"$work/log" &
pid=$!

# As the demonstration tells it, the dark zone is lit again after 100 seconds.
url=
for _ in $(seq 480); do
  kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  url=$(sed -n 's|^Look at \(http://[^/]*\)/ .*|\1|p' "$work/demo")
  if [ -n "$url" ]; then
    curl -s "$url/metrics" >"$work/metrics" || true
    missing=
    for code in NLB103 NLB201 NLB301 NLB501 NLB510 NLB512; do
      grep -q "^eks_nlb_findings{code=\"$code\",severity=\"[a-z]*\"} [1-9]" "$work/metrics" || missing="$missing $code"
    done
    [ -n "$missing" ] || break
  fi
  sleep 0.2
done
[ -z "$missing" ] || { echo "the story went by without$missing" >&2; exit 1; }

picture() { # NAME WIDTH HEIGHT SCHEME
  printf '{"path": "/", "width": %s, "height": %s, "scheme": "%s", "scale": 1.5, "picture": {"file": "%s"}}' "$2" "$3" "$4" "$PWD/docs/$1.png"
}
printf '{"base": "%s", "looks": [%s, %s, %s]}' "$url" \
  "$(picture status-page 1280 1400 light)" "$(picture status-page-dark 1280 1400 dark)" "$(picture status-page-phone 375 1100 light)" |
  PATH="$(tests/peers.sh path):$PATH" node tests/browser/look.mjs >/dev/null
ls -l docs/status-page*.png
