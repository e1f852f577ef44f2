#!/usr/bin/env bash
# Measures the daemon as a whole process at the size of a large cluster, against the simulator, and prints a table.
# Everything is on loopback, bounded, and ends with this script.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$HOME/.cache/eks-nlb-exporter/target}
exporter=$target/release/eks-nlb-exporter
work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
export AWS_ACCESS_KEY_ID=simulator AWS_SECRET_ACCESS_KEY=simulator AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1

for program in wrk nginx python3 curl; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || { echo "make bench needs $program in PATH (Debian packages wrk, nginx-light, python3, curl)" >&2; exit 1; }
done
PATH=$PATH:/usr/sbin

LOAD_BALANCERS=${LOAD_BALANCERS:-1000} TARGET_GROUPS=${TARGET_GROUPS:-3000} TARGETS=${TARGETS:-30000}
SECURITY_GROUPS=${SECURITY_GROUPS:-1100} RULES=${RULES:-40} SUBNETS=${SUBNETS:-60} SERVICES=${SERVICES:-1000}

row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3" >>"$work/table"; }
now() { python3 -c 'import time; print(time.monotonic())'; }

# start_simulator NAME FLAGS…: sets aws_url and writes $work/NAME.kubeconfig.
start_simulator() {
  local name=$1
  shift
  "$exporter" simulate --kubeconfig "$work/$name.kubeconfig" "$@" >"$work/$name.simulator" 2>&1 &
  pids+=($!)
  for _ in $(seq 600); do grep -q '^aws ' "$work/$name.simulator" && break; sleep 0.1; done
  aws_url=$(sed -n 's/^aws //p' "$work/$name.simulator")
  [ -n "$aws_url" ] || { cat "$work/$name.simulator" >&2; exit 1; }
}

# start_daemon NAME FLAGS…: sets daemon_pid and url.
start_daemon() {
  local name=$1
  shift
  KUBECONFIG=$work/$name.kubeconfig "$exporter" --aws.endpoint-url "$aws_url" --aws.region us-east-1 --kube.context simulated \
    --web.listen-address 127.0.0.1:0 --log.format json "$@" >"$work/$name.daemon" 2>&1 &
  daemon_pid=$!
  pids+=("$daemon_pid")
  for _ in $(seq 200); do grep -q 'Listening on' "$work/$name.daemon" && break; sleep 0.02; done
  url=http://$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/$name.daemon" | head -n 1)
}

wait_ready() { # SECONDS
  for _ in $(seq $(($1 * 50))); do curl -sf -o /dev/null "$url/-/ready" && return; sleep 0.02; done
  echo "not ready within $1 s: $(curl -s "$url/-/ready")" >&2
  exit 1
}

# --- cold start of a small cluster, with the default budget
start_simulator small
start=$(now)
start_daemon small
wait_ready 60
row "cold start to ready, small cluster, default budget" "$(python3 -c "print(f'{$(now) - $start:.2f} s')")" "≤ 3 s"
kill "$daemon_pid"

# --- one full pass at the large size: calls against the arithmetic minimum
start_simulator large --load-balancers "$LOAD_BALANCERS" --target-groups "$TARGET_GROUPS" --targets "$TARGETS" --services "$SERVICES" \
  --security-groups "$SECURITY_GROUPS" --rules-per-group "$RULES" --subnets "$SUBNETS"
cat >"$work/large.yml" <<YAML
aws:
  requests_per_second: {elasticloadbalancing: 1000, ec2: 100, servicequotas: 50}
YAML
start=$(now)
start_daemon large --config.file "$work/large.yml"
wait_ready 300
ready_after=$(python3 -c "print(f'{$(now) - $start:.1f}')")
row "cold start to ready, large cluster, 1,000 calls a second allowed" "$ready_after s" ""
python3 - "$url" "$aws_url" >"$work/calls" <<'PY'
import json, math, os, sys, time, urllib.request
url, aws = sys.argv[1:]
read = lambda u: urllib.request.urlopen(u).read().decode()
deadline = time.monotonic() + 300
while True:
    lines = [line for line in read(url + "/metrics").splitlines() if line.startswith("eks_nlb_source_up{")]
    attributes = [line for line in lines if "attributes" in line or "listeners" in line or "quotas" in line or "addresses" in line]
    if lines and all(line.endswith(" 1") or line.endswith(" 1.0") for line in lines) and len(attributes) >= 5:
        break
    if time.monotonic() > deadline:
        sys.exit("no full pass within 300 s:\n" + "\n".join(lines))
    time.sleep(0.2)
counted = json.loads(read(aws + "/__simulator/calls"))
size = lambda name: int(os.environ[name])
lbs, tgs = size("LOAD_BALANCERS"), size("TARGET_GROUPS")
minimum = {
    "DescribeLoadBalancers": math.ceil(lbs / 400), "DescribeTargetGroups": math.ceil(tgs / 400), "DescribeTags": math.ceil((lbs + tgs) / 20),
    "DescribeListeners": lbs, "DescribeLoadBalancerAttributes": lbs, "DescribeTargetGroupAttributes": tgs, "DescribeTargetHealth": tgs,
}
flat = {}
for key, value in counted.items():
    if isinstance(value, dict):
        for name, count in value.items():
            flat[name] = flat.get(name, 0) + count
    else:
        flat[key.split(":")[-1].split("/")[-1]] = value
made = sum(flat.get(name, 0) for name in minimum)
least = sum(minimum.values())
print(f"{made:,} of {least:,} = {made / least:.3f} ×")
for name, least in minimum.items():
    print(f"  {name}: {flat.get(name, 0):,} of {least:,}", file=sys.stderr)
PY
row "Elastic Load Balancing calls of a full pass, against the minimum" "$(cat "$work/calls")" "≤ 1.05 ×"

# --- scrapes: 8 clients, gzip, beside nginx serving the same bytes
curl -s -H 'Accept-Encoding: gzip' -o "$work/metrics" "$url/metrics"
series=$(gzip -dc <"$work/metrics" | grep -vc '^#')
row "series; exposition, gzip" "$series; $(stat -c %s "$work/metrics" | numfmt --grouping) bytes" "≤ 100,000"
mkdir -p "$work/nginx"
nginx_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/nginx.conf" <<CONF
worker_processes 2; daemon off; pid $work/nginx/pid; error_log $work/nginx/error.log;
events {}
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000;
  client_body_temp_path $work/nginx/a; proxy_temp_path $work/nginx/b; fastcgi_temp_path $work/nginx/c; uwsgi_temp_path $work/nginx/d; scgi_temp_path $work/nginx/e;
  server { listen 127.0.0.1:$nginx_port; root $work; default_type text/plain; location /metrics { add_header Content-Encoding gzip; } }
}
CONF
# nginx's workers drop root's rights and must still reach the file.
chmod 755 "$work"
chmod 644 "$work/metrics"
nginx -c "$work/nginx.conf" &
pids+=($!)
sleep 0.5
load() { wrk -t2 -c8 -d"${SECONDS_OF_LOAD:-10}s" --latency -H 'Accept-Encoding: gzip' "$1/metrics"; }
load "http://127.0.0.1:$nginx_port" >"$work/wrk.nginx"
load "$url" >"$work/wrk.exporter"
rate() { sed -n 's/^Requests\/sec: *//p' "$1"; }
p99() { sed -n 's/^ *99% *//p' "$1"; }
grep -q 'Non-2xx' "$work/wrk.exporter" "$work/wrk.nginx" && { cat "$work"/wrk.* >&2; exit 1; }
row "/metrics, gzip, 8 clients: p99" "$(p99 "$work/wrk.exporter") (nginx $(p99 "$work/wrk.nginx"))" "≤ 10 ms"
row "/metrics, gzip, 8 clients: requests a second" \
  "$(rate "$work/wrk.exporter") = $(python3 -c "print(f'{$(rate "$work/wrk.exporter") / $(rate "$work/wrk.nginx"):.2f}')") × nginx" "≥ 1.0 ×"
row "resident memory, peak" "$(awk '/VmHWM/ {printf "%.0f MB", $2 / 1000}' "/proc/$daemon_pid/status")" "≤ 200 MB"

# --- inside one process: the CPU of a picture, and how soon a change is seen
"${CARGO:-cargo}" bench --locked --quiet --bench picture -- --rows >>"$work/table"

{
  echo '| what | measured | bar |'
  echo '|---|---|---|'
  cat "$work/table"
} | tee "$target/bench.md"
