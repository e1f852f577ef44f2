#!/usr/bin/env bash
# Is everything of this version? Cargo.toml, Cargo.lock, the chart, the Dockerfile and the changelog, before a tag is pushed.
#
#   release-check.sh VERSION           says what differs and ends with 1, or says nothing
#   release-check.sh VERSION --notes   prints the changelog's section of the version
set -euo pipefail
cd "${RELEASE_ROOT:-$(dirname "$0")/..}"

version=${1:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "usage: $0 X.Y.Z [--notes]; ${version:-nothing} is no version" >&2; exit 2; }

section() { awk -v heading="## $version / " 'index($0, heading) == 1 { inside = 1; next } /^## / { inside = 0 } inside' CHANGELOG.md; }

if [ "${2:-}" = --notes ]; then
  section
  exit
fi

failed=0
same() { # WHERE FOUND
  [ "$2" = "$version" ] || { echo "$1 is of version ${2:-none}, not of $version" >&2; failed=1; }
}

same Cargo.toml "$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)"
same Cargo.lock "$(sed -n '/^name = "eks-nlb-exporter"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)"
same "the chart's version" "$(sed -n 's/^version: *//p' deploy/helm/eks-nlb-exporter/Chart.yaml)"
same "the chart's appVersion" "$(sed -n 's/^appVersion: *//p' deploy/helm/eks-nlb-exporter/Chart.yaml)"
same Dockerfile "$(sed -n 's/^ARG VERSION=//p' Dockerfile)"
grep -qE "^## ${version//./\\.} / [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
  { echo "CHANGELOG.md has no heading \"## $version / YYYY-MM-DD\"" >&2; failed=1; }
[ -n "$(section | tr -d '[:space:]')" ] || { echo "CHANGELOG.md says nothing about $version" >&2; failed=1; }
exit "$failed"
