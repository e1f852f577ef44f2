#!/usr/bin/env bash
# What do a TLS handshake and the comparison of a password cost the daemon? CPU time of the process, by its own clock.
#
#   web-config-cost.sh [PROGRAM]      in an environment with openssl and curl
set -euo pipefail

program=${1:-target/release/eks-nlb-exporter}
folder=$(mktemp -d)
trap 'kill "${daemon:-$$}" 2>/dev/null; rm -rf "$folder"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
  -addext basicConstraints=critical,CA:false -addext subjectAltName=DNS:localhost \
  -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null

# Hashes of "s3cret" at cost 4, whose digest is wrong at the higher ones: what is measured takes as long.
digest=abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG
printf 'tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n' >"$folder/tls.yml"
for cost in 10 12; do printf 'basic_auth_users: {u: $2b$%s$%s}\n' "$cost" "$digest" >"$folder/$cost.yml"; done

serve() { # FILE: sets daemon and port
  env -i HOME="$folder" AWS_EC2_METADATA_DISABLED=true "$program" --web.config.file="$folder/$1" \
    --web.listen-address=127.0.0.1:0 --log.format=json 2>"$folder/log" &
  daemon=$!
  until port=$(sed -n 's/.*"Listening on","address":"127.0.0.1:\([0-9]*\)".*/\1/p' "$folder/log") && [ -n "$port" ]; do sleep 0.1; done
}

ticks() { awk '{print $14 + $15}' "/proc/$daemon/stat"; }

measure() { # NAME COUNT CURL-ARGUMENT…
  local name=$1 count=$2 before
  shift 2
  before=$(ticks)
  for _ in $(seq "$count"); do curl --silent --insecure --output /dev/null "$@" || true; done
  echo "$name: $(((1000 * ($(ticks) - before)) / ($(getconf CLK_TCK)) )) ms of CPU for $count, each on a connection of its own"
}

serve tls.yml
measure "TLS handshake and request" 200 "https://localhost:$port/-/healthy"
kill "$daemon"
for cost in 10 12; do
  serve "$cost.yml"
  measure "request without a password" 200 "http://localhost:$port/-/healthy"
  measure "comparison at cost $cost" 20 --user u:wrong "http://localhost:$port/-/healthy"
  kill "$daemon"
done
