#!/usr/bin/env bash
# Measures the daemon as a whole process at the size of a large cluster, against the simulator, and prints a table; it is
# also written to bench.md in the target directory. Everything is on loopback, takes about five minutes, and ends with this
# script. Needs bash, curl, python3, wrk and nginx (`apt-get install curl python3 wrk nginx-light` on Debian), and what
# `tests/peers.sh browser` installs.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$HOME/.cache/eks-nlb-exporter/target}
exporter=$target/release/eks-nlb-exporter
work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
export AWS_ACCESS_KEY_ID=simulator AWS_SECRET_ACCESS_KEY=simulator AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1

# Debian keeps nginx where only root looks.
PATH=$PATH:/usr/sbin
for program in wrk nginx python3 curl; do
  command -v "$program" >/dev/null || { echo "make bench needs $program in PATH (Debian: apt-get install wrk nginx-light python3 curl)" >&2; exit 1; }
done
tests/peers.sh browser
[ -x "$exporter" ] || { echo "there is no $exporter: run make bench" >&2; exit 1; }

# World L.
export LOAD_BALANCERS=${LOAD_BALANCERS:-1000} TARGET_GROUPS=${TARGET_GROUPS:-3000}
TARGETS=${TARGETS:-30000} SERVICES=${SERVICES:-1000} SECURITY_GROUPS=${SECURITY_GROUPS:-1100} RULES=${RULES:-40} SUBNETS=${SUBNETS:-60} NODES=${NODES:-120}

row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3" >>"$work/table"; }
now() { python3 -c 'import time; print(time.monotonic())'; }
since() { python3 -c "import time; print(f'{time.monotonic() - $1:.2f}')"; }
say() { echo "… $1" >&2; }

# start_simulator NAME FLAGS…: sets simulator_pid and aws_url, and writes $work/NAME.kubeconfig.
start_simulator() {
  local name=$1
  shift
  "$exporter" simulate --kubeconfig "$work/$name.kubeconfig" "$@" >"$work/$name.simulator" 2>&1 &
  simulator_pid=$!
  pids+=("$simulator_pid")
  for _ in $(seq 600); do
    grep -q '^aws ' "$work/$name.simulator" && break
    kill -0 "$simulator_pid" 2>/dev/null || break
    sleep 0.1
  done
  aws_url=$(sed -n 's/^aws //p' "$work/$name.simulator")
  [ -n "$aws_url" ] || { echo "the simulator did not start: $(cat "$work/$name.simulator")" >&2; exit 1; }
}

# start_daemon NAME FLAGS…: sets daemon_pid and url.
start_daemon() {
  local name=$1
  shift
  KUBECONFIG=$work/$name.kubeconfig "$exporter" --aws.endpoint-url "$aws_url" --aws.region us-east-1 --kube.context simulated \
    --web.listen-address 127.0.0.1:0 --log.format json "$@" >"$work/$name.daemon" 2>&1 &
  daemon_pid=$!
  pids+=("$daemon_pid")
  for _ in $(seq 1000); do grep -q 'Listening on' "$work/$name.daemon" && break; sleep 0.01; done
  url=http://$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/$name.daemon" | head -n 1)
}

stop() { # PID…
  kill "$@" 2>/dev/null || true
  wait "$@" 2>/dev/null || true
}

wait_ready() { # SECONDS
  for _ in $(seq $(($1 * 50))); do curl -sf -o /dev/null "$url/-/ready" && return; sleep 0.02; done
  echo "not ready within $1 s: $(curl -s "$url/-/ready")" >&2
  exit 1
}

# --- cold start of a small cluster, with the default budget
say 'cold start'
start_simulator small
starts=()
for _ in 1 2 3; do
  start=$(now)
  start_daemon small
  wait_ready 60
  starts+=("$(since "$start")")
  stop "$daemon_pid"
done
stop "$simulator_pid"
row "cold start to ready: 12 NLBs, 18 target groups, the default 5 calls a second; three starts" "${starts[*]} s" "≤ 3 s"

# --- one full pass at the large size: calls against the arithmetic minimum
say 'one full pass'
start_simulator large --load-balancers "$LOAD_BALANCERS" --target-groups "$TARGET_GROUPS" --targets "$TARGETS" --services "$SERVICES" \
  --endpoints "$TARGETS" --security-groups "$SECURITY_GROUPS" --rules-per-group "$RULES" --subnets "$SUBNETS" --nodes "$NODES"
cat >"$work/large.yml" <<YAML
aws:
  requests_per_second: {elasticloadbalancing: 1000, ec2: 100, servicequotas: 50}
YAML
start=$(now)
start_daemon large --config.file "$work/large.yml"
wait_ready 300
row "cold start to ready, world L, 1,000 calls a second allowed" "$(since "$start") s" ""
python3 - "$url" "$aws_url" >"$work/calls" <<'PY'
import json, math, os, sys, time, urllib.request
url, aws = sys.argv[1:]
read = lambda u: json.loads(urllib.request.urlopen(u).read())
deadline = time.monotonic() + 120
while True:
    sources = read(url + "/api/v1/sources")["sources"]
    wanting = [one for one in sources if one["state"] not in ("up", "absent") or one["missing"] or not one["last_success"]]
    if sources and not wanting:
        break
    if time.monotonic() > deadline:
        sys.exit(f"no full pass within 120 s after it was ready: {wanting}")
    time.sleep(0.1)
counted = read(aws + "/__simulator/calls")
lbs, tgs = int(os.environ["LOAD_BALANCERS"]), int(os.environ["TARGET_GROUPS"])
minimum = {
    "DescribeLoadBalancers": math.ceil(lbs / 400), "DescribeTargetGroups": math.ceil(tgs / 400), "DescribeTags": math.ceil((lbs + tgs) / 20),
    "DescribeListeners": lbs, "DescribeLoadBalancerAttributes": lbs, "DescribeTargetGroupAttributes": tgs, "DescribeTargetHealth": tgs,
}
made = {name: counted["calls"].get("elasticloadbalancing:" + name, 0) for name in minimum}
for name, least in minimum.items():
    if made[name] != least:
        print(f"  {name}: {made[name]:,} of {least:,}", file=sys.stderr)
made, least = sum(made.values()), sum(minimum.values())
print(f"{made:,} of {least:,} = {made / least:.3f} × (all services: {counted['total']:,} calls, {sum(counted['errors'].values())} errors)")
PY
row "Elastic Load Balancing calls of one full pass, against the arithmetic minimum" "$(cat "$work/calls")" "≤ 1.05 ×"

# --- at rest: what the samples of a running daemon and the pictures of them cost
say 'at rest, two minutes'
# One scrape, so that pictures are rendered, and time for the picture of the full pass.
curl -s -H 'Accept-Encoding: gzip' -o /dev/null "$url/metrics"
sleep 8
cpu() { awk '{print $14 + $15}' "/proc/$daemon_pid/stat"; }
calls() { curl -s "$aws_url/__simulator/calls" | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"])'; }
# As long as a round of health of steady groups takes, so that one is in it.
cpu_before=$(cpu) calls_before=$(calls) seconds=${SECONDS_AT_REST:-126}
sleep "$seconds"
row "CPU of the daemon when nothing changes, world L" \
  "$(python3 -c "print(f'{($(cpu) - $cpu_before) / $(getconf CLK_TCK) / $seconds:.1%} of a core at {($(calls) - $calls_before) / $seconds:.0f} calls a second')")" ""

# --- scrapes: 8 clients, gzip, beside nginx serving the same bytes
say 'scrapes'
curl -s -H 'Accept-Encoding: gzip' -o "$work/metrics" "$url/metrics"
series=$(gzip -dc <"$work/metrics" | grep -vc '^#')
row "/metrics at world L: series in all; bytes, gzip" "$(python3 -c "print(f'{$series:,}; {$(stat -c %s "$work/metrics"):,}')")" "≤ 100,000"
mkdir -p "$work/nginx"
nginx_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/nginx.conf" <<CONF
worker_processes auto; daemon off; pid $work/nginx/pid; error_log $work/nginx/error.log;
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
# In turns, and of each the best round: what else the machine does can only make it worse.
rounds=3
for round in $(seq "$rounds"); do
  for server in "nginx http://127.0.0.1:$nginx_port" "exporter $url"; do
    read -r name base <<<"$server"
    wrk -t2 -c8 -d"${SECONDS_OF_LOAD:-5}s" --latency -H 'Accept-Encoding: gzip' "$base/metrics" >"$work/wrk.$name.$round"
    ! grep -q -e 'Non-2xx' -e 'Socket errors' "$work/wrk.$name.$round" || { cat "$work/wrk.$name.$round" >&2; exit 1; }
  done
done
rate() { sed -n 's/^Requests\/sec: *//p' "$work/wrk.$1."* | sort -rn | head -n 1; }
# wrk writes 950.00us, 6.33ms, 1.02s.
p99() {
  sed -n 's/^ *99% *//p' "$work/wrk.$1."* | sed 's/us$/ 0.001/; s/ms$/ 1/; s/s$/ 1000/' | awk '{printf "%.2f ms\n", $1 * $2}' | sort -n | head -n 1
}
ratio=$(python3 -c "print(f'{$(rate exporter) / $(rate nginx):.2f}')")
row "/metrics, gzip, 8 clients, best of $rounds rounds: p99" "$(p99 exporter) (nginx $(p99 nginx))" "≤ 10 ms"
row "/metrics, gzip, 8 clients, best of $rounds rounds: requests a second" "$(rate exporter) = $ratio × nginx ($(rate nginx))" "≥ 1.0 ×"
row "resident memory of all that, peak" "$(awk '/VmHWM/ {printf "%.0f MB", $2 / 1000}' "/proc/$daemon_pid/status")" "≤ 200 MB"

# --- the status page in a browser, the best of five looks at each page
say 'status page'
PATH="$(tests/peers.sh path):$PATH" NO_PROXY=127.0.0.1 node tests/browser/look.mjs >"$work/looks" <<JSON
{"base": "$url", "looks": [$(for _ in 1 2 3 4 5; do printf '{"path": "/"}, {"path": "/services?page=20"}, '; done) {"path": "/"}]}
JSON
looks() { # PATH
  python3 - "$work/looks" "$1" <<'PY'
import json, sys
looks = [look for look in json.load(open(sys.argv[1])) if look["path"] == sys.argv[2]]
assert all(look["status"] == 200 for look in looks), looks
best = min((look["load"] for look in looks), key=lambda load: load["milliseconds"])
print(f'{best["milliseconds"]:.0f} ms, of which {best["answered"]:.0f} ms until it was answered; {best["bytes"]:,} bytes, {looks[0]["nodes"]:,} elements')
PY
}
row "status page at world L, loaded by Chromium: the overview, best of 6" "$(looks /)" "≤ 1 s"
row "status page at world L, loaded by Chromium: the last page of the Services, best of 5" "$(looks '/services?page=20')" "≤ 1 s"

stop "$daemon_pid" "$simulator_pid"

# --- inside one process: the CPU of a picture, whether it is true, and how soon a change is seen
say 'pictures and reactions, about a minute and a half'
status=0
"${CARGO:-cargo}" bench --locked --quiet --bench picture -- --rows >>"$work/table" || status=$?

{
  echo "$(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $("$exporter" --version | head -n 1)"
  echo
  echo '| what | measured | bar |'
  echo '|---|---|---|'
  cat "$work/table"
} | tee "$target/bench.md"
exit "$status"
