#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens, extends and closes through the control socket at a steady rate, and keeps what it was promised.
Usage: drill.py SOCKET SECONDS RATE SEED STATE-FILE
A key is a door and what it opens for: a source, or its /24 or /64. A request whose answer is lost may have been done or
not: its key is `maybe` open until its longest time passed. Ends on time and writes a JSON file: open and maybe (key ->
latest end), made (key -> when it was last promised), missing (closes that found nothing, and should have), counts,
refusals by text, slowest (the longest that an answer took), ended. Times are milliseconds of CLOCK_MONOTONIC, as in /proc/uptime."""
import ipaddress
import json
import random
import socket
import sys
import time

path, seconds, rate, seed, state = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
FOR = {"a": 5.0, "b": 8.0, "net": 5.0, "once": 5.0, "web": 5.0}
dice = random.Random(seed)
sources = [f"198.18.{i}.{j}" for i in range(15) for j in range(10, 20)]
sources += [f"2001:db8:{0x1000 + i:x}:{j:x}::1" for i in range(15) for j in range(1, 11)]
open_until, maybe, made, missing = {}, {}, {}, []
counts = {"asked": 0, "open": 0, "close": 0, "refused": 0, "lost": 0}
refusals = {}
slowest = 0


def ask(request):
    """The last line of the answer; None when it was lost."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(5)
            peer.connect(path)
            peer.send(("1 " + request).encode())
            while True:
                datagram = peer.recv(1 << 17)
                if not datagram:
                    return None
                last = json.loads(datagram.decode().splitlines()[-1])
                if "end" in last:
                    return last
    except OSError:
        return None


def owner(door, source):
    if door == "net":
        source = ipaddress.ip_network(f"{source}/{24 if '.' in source else 64}", strict=False).network_address
    return f"{door} {source}"


begun = time.monotonic()
while (now := time.monotonic()) < begun + seconds:
    door, source = dice.choice(list(FOR)), dice.choice(sources)
    key = owner(door, source)
    counts["asked"] += 1
    closing = dice.random() < 0.3
    answer = ask(f"close what={door} source={source}" if closing else f"open door={door} source={source}")
    after = time.monotonic()
    if answer is not None:
        slowest = max(slowest, (after - now) * 1000)
    end = (after + FOR[door]) * 1000
    if answer is None:
        counts["lost"] += 1
        maybe[key] = max(end, maybe.get(key, 0), open_until.pop(key, 0))
    elif answer["exit"] != 0:
        text = answer["error"]["text"]
        if not text:
            raise SystemExit(f"refused without a word: {answer}")
        refusals[text.split(";")[0]] = refusals.get(text.split(";")[0], 0) + 1
        counts["refused"] += 1
        if text.startswith("nothing open matches"):
            maybe.pop(key, None)
            left = open_until.pop(key, 0) - after * 1000
            if left > 1000:
                missing.append({"key": key, "made": made[key], "at": after * 1000, "left": left})
        elif "a set is full" not in text and "is reached" not in text and key in open_until:
            maybe[key] = max(open_until.pop(key), maybe.get(key, 0))  # those two change nothing
    elif closing:
        counts["close"] += 1
        for known in (open_until, maybe):
            known.pop(key, None)
    else:
        counts["open"] += 1
        made[key] = now * 1000
        open_until[key] = max(end, open_until.get(key, 0), maybe.get(key, 0))
    ahead = begun + counts["asked"] / rate - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)  # a pace, not a wait

json.dump({"open": open_until, "maybe": maybe, "made": made, "missing": missing, "counts": counts,
           "refusals": refusals, "slowest": slowest, "ended": time.monotonic() * 1000}, open(state, "w"))
