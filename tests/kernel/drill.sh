#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fault drill: a thousand opens, extends and closes a second, while somebody flushes the ruleset, deletes sets, fills a
# set and kills the keeper. In the end kernel, status and what was promised agree, and nothing stays open past its end.
. "$(dirname "$0")/../harness/lib.sh"
SECONDS_LONG=${DRILL_SECONDS:-60} SEED=${DRILL_SEED:-$RANDOM}
RANDOM=$SEED
echo "seed $SEED"

world
config <<'TOML'
[limits]
grants = 2000
per_source = 1024
[door.a]
opens = ["tcp/22"]
for = "5s"
[door.b]
opens = ["tcp/22", "tcp/80"]
for = "8s"
[door.net]
opens = ["tcp/23"]
for = "5s"
grant = ["/24", "/64"]
[door.once]
opens = ["tcp/24"]
for = "5s"
uses = 2
[door.web]
forward = { "tcp/8443" = ["192.0.2.20:443", "[2001:db8:20::20]:443"] }
for = "5s"
[log]
level = "warn"
TOML
start
background ip netns exec "$RUN-router" python3 "$(dirname "$0")/../harness/drill.py" "$KNOCKGATE_SOCKET" "$SECONDS_LONG" 1000 "$SEED" "$TMP/model"
driver=${PIDS##* }
# open4 to its size, with foreign elements of four seconds: a hundred a time as long as they fit, then three a time.
# Whether it was full: a machine may be too busy to fill it in that time.
filler() { # COUNT FIRST-OCTETS
  local i elements=
  for i in $(seq "$1"); do elements+="$2.$i . tcp . 9 timeout 4s comment \"filler\", "; done
  echo "add element inet knockgate open4 { ${elements%, } }"
}
for chunk in $(seq 0 39); do
  filler 100 "203.0.$((113 + chunk))" >"$TMP/fill.100.$chunk"
  filler 3 "203.1.$((113 + chunk))" >"$TMP/fill.3.$chunk"
done
# shellcheck disable=SC2016
fill() {
  in_ns router sh -c 'for size in 100 3; do for chunk in $(seq 0 39); do kill -0 $1 2>/dev/null || exit; nft -f "$0.$size.$chunk" 2>/dev/null || { full=$size; break; }; done; done
    [ "$full" = 3 ]' "$TMP/fill" "$driver"
}
killed=0 removals=0 fills=0 healed=-1
uptime_ms() { awk '{printf "%d\n", $1 * 1000}' /proc/uptime; }
# What happened when, for the verdict on a promise: in seconds of CLOCK_MONOTONIC.
happens() { echo "$1 $(cut -d' ' -f1 /proc/uptime)" >>"$TMP/happened"; }
remove() { # NFT-TEXT
  healed=$(count_logged '^healed by=')
  happens removal
  if in_ns router nft -f - 2>/dev/null <<<"$1"; then removals=$((removals + 1)); else healed=-1; fi
}
restart() {
  happens kill
  stop KILL
  [ "$(count_logged '^healed by=')" -gt "$healed" ] || happens unhealed
  start
  killed=$((killed + 1)) healed=-1
}
: >"$TMP/happened"
while kill -0 "$driver" 2>/dev/null; do
  in_ns router nft -f - 2>/dev/null <<<'flush set inet knockgate knocking4' || true # somebody else's harmless commit
  case $((RANDOM % 8)) in
    0 | 1) remove 'flush ruleset' ;;
    2) remove 'delete table inet knockgate' ;;
    3) remove 'flush table inet knockgate; delete set inet knockgate open4' ;;
    4 | 5) if fill; then fills=$((fills + 1)); fi ;;
    6) restart ;;
    *) remove 'flush ruleset'; restart ;; # perhaps before it is healed: then what was open is nowhere any more
  esac
  [ $((removals % 6)) != 5 ] || { ctl reload --now >/dev/null; removals=$((removals + 1)) healed=-1; } # the budget of healing is not the subject
  timeout 1.5 tail --pid="$driver" -f /dev/null || true # until the driver ends, at most so long
done
changed=$(uptime_ms) # the last that anything asked or filled
wait "$driver" || fail "the driver: $(jq -c . "$TMP/model" 2>/dev/null)"
jq -c '{counts, refusals, missing: (.missing | length)}' "$TMP/model"
echo "killed $killed times ($(grep -c ^unhealed "$TMP/happened" || true) before a removal was healed), $removals removals and reloads, $fills times filled; keeper: $(awk '/^VmRSS/ {print $2 " KiB"}' "/proc/$DAEMON/status")"
ctl reload --now >/dev/null # ends a pause of healing
expect '.gate.loaded'
[ $fills = 0 ] || jq -e '.refusals | keys | any(test("a set is full|grants is reached"))' "$TMP/model" >/dev/null || fail "a full set was not said"
[ "$(jq '.counts.open' "$TMP/model")" -gt $((SECONDS_LONG * 20)) ] || fail "hardly anything was opened"

cat >"$TMP/compare" <<'PY'
import json, subprocess, sys, time
PORTS = {"a": [22], "b": [22, 80], "net": [23], "once": [24], "web": [8443]}
def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
model = json.load(open(sys.argv[1]))
# ms. An element that is put back ends later by what lies between the keeper's clock and the kernel's: an answer waits as long.
LATE = max(100, model["slowest"])
happened = [(what, float(at) * 1000) for what, at in (line.split() for line in open(sys.argv[2]))]
kills = [at for what, at in happened if what == "kill"]
def killed_since(made):
    return any(at >= made - 50 for at in kills)
def gone_with_the_kernel(made, until): # removed, and the keeper killed at once, before it said that it put everything back
    return any(what == "unhealed" and made - 50 <= at <= until and
               any(before == "removal" and 0 <= at - since <= 1000 for before, since in happened) for what, at in happened)
wrong, lost = [], 0
def judge_loss(text, made, until):
    global lost
    if gone_with_the_kernel(made, until): lost += 1
    else: wrong.append(text)

promised = {}
for known in (model["maybe"], model["open"]):
    for key, end in known.items():
        promised[tuple(key.split())] = max(end, promised.get(tuple(key.split()), 0))
latest = {} # of every element: when the last of its doors ends
for (door, source), end in promised.items():
    for port in PORTS[door]: latest[(source, port)] = max(end, latest.get((source, port), 0))

now = time.monotonic() * 1000
grants = [one for line in run("knockctl", "--json").splitlines() for one in json.loads(line)["grants"] if one["door"] != "foreign"]
holders, seen = {}, set()
for one in grants:
    key = (one["door"], one["source"])
    if key in seen: wrong.append(f"twice: {one}")
    seen.add(key)
    if key not in promised: wrong.append(f"nobody asked for it: {one}")
    elif (late := now + one["left_ms"] - promised[key]) > LATE: wrong.append(f"past its end by {late} ms: {one}")
    for port in one["ports"]:
        key = (one["source"], int(port.split("/")[1]))
        holders[key] = max(one["left_ms"], holders.get(key, 0))
def listed(kind, name): # (source, port) -> ms left, at most a second less than it is
    # A listing of many may lack some, without a word: the kernel counts on by number while it throws out ended ones.
    return listed_once(kind, name) | listed_once(kind, name) | listed_once(kind, name)
def listed_once(kind, name):
    found, before = {}, time.monotonic() * 1000
    for item in json.loads(run("nft", "-j", "list", kind, "inet", "knockgate", name))["nftables"]:
        for element in item.get(kind, {}).get("elem", []):
            element = (element[0] if isinstance(element, list) else element)["elem"]
            source, _, port = element["val"]["concat"]
            if port == 9: continue # a filler; a heal puts it back without its comment
            found[(source, port)] = element["expires"] * 1000
            over = LATE + (1000 if kind == "map" else 0) # a forward ends behind what opens it
            if (source, port) not in latest:
                if kind == "set" or element["expires"] > 1: wrong.append(f"in {name}, and nobody asked for it: {source} {port}, {element['expires']} s")
            elif (late := before + element["expires"] * 1000 - latest[(source, port)]) > over:
                wrong.append(f"in {name}, past its end by {late} ms: {source} {port}")
    return found
sets, maps = {}, {}
for name in ("open4", "open6", "net4", "net6", "uses4", "uses6"): sets.update(listed("set", name))
for name in ("forward4", "forward6"): maps.update(listed("map", name))
for key, left in sets.items():
    if key not in holders and left >= LATE - 100: wrong.append(f"in the kernel alone: {key}, {left} ms")
for key, left in holders.items():
    if left > 1500 and key not in sets: wrong.append(f"in the status alone: {key}")
    if left > 1500 and key[1] == 8443 and key not in maps: wrong.append(f"leads nowhere: {key}")

# What was promised is there. After a kill an element that two doors hold is known as that of the one that ends last
# alone, and closes with it: then port 22 is not judged.
certain = 0
for key, end in model["open"].items():
    door, source = key.split()
    if end - now <= 1500: continue
    shared = killed_since(model["made"][key])
    ports = [port for port in PORTS[door] if not (shared and port == 22)]
    if not ports: continue
    certain += 1
    missing = [port for port in ports if (source, port) not in sets]
    if missing: judge_loss(f"promised, and gone: {key} {missing}", model["made"][key], now)
    elif (door, source) not in seen: judge_loss(f"promised, and not in status: {key}", model["made"][key], now)
for one in model["missing"]:
    if one["key"].startswith("a ") and killed_since(one["made"]): continue
    judge_loss(f"promised, and gone when it was closed: {one}", one["made"], one["at"])
print(f"compared: {len(grants)} grants, {len(sets)} elements, {len(maps)} forwards, {certain} certain promises; lost with the kernel: {lost}")
print(f"{len(wrong)} wrong")
for line in wrong[:20]: print(line)
sys.exit(bool(wrong))
PY
in_ns router env PATH="$PATH" python3 "$TMP/compare" "$TMP/model" "$TMP/happened" || fail "kernel, status and promises differ"
ok "what is open in the kernel, in status and in the promises is the same, nothing twice, nothing past its end"
! ps -o stat= --ppid "$DAEMON" | grep -q Z || fail "a zombie"
ok "no zombie"
none() {
  local at
  at=$(uptime_ms)
  [ "$(for name in open4 open6 net4 net6 uses4 uses6 forward4 forward6; do in_ns router nft -j list set inet knockgate $name 2>/dev/null || in_ns router nft -j list map inet knockgate $name; done | jq -s '[.[].nftables[] | (.set? // .map? // empty) | .elem // [] | length] | add')" = 0 ] ||
    { echo "$at" >"$TMP/last"; false; }
}
uptime_ms >"$TMP/last"
await none # the kernel first: a look at the status makes the keeper look, too
took=$(($(cat "$TMP/last") - changed)) # then something was still open
[ "$took" -lt $((9000 + 1000 * SLOW)) ] || fail "something was open $took ms after the last request"
await status '.grants == []'
ok "then everything ends by itself; the last look that found something was $took ms after the last request"
