#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many grants at once through the control socket. Usage: many.py SOCKET open COUNT | close | status
Prints one JSON line with the milliseconds it took."""
import json
import socket
import sys
import time


class Control:
    def __init__(self, path):
        self.path = path

    def ask(self, request):
        """The lines of one answer; raises when it was refused."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(self.path)
            peer.send(("1 " + request).encode())
            lines = []
            while True:
                datagram = peer.recv(1 << 17)
                if not datagram:
                    raise RuntimeError("no end: " + request)
                lines += datagram.decode().splitlines()
                if lines[-1].startswith('{"end":'):
                    last = json.loads(lines[-1])
                    if last["exit"] != 0:
                        raise RuntimeError(f"{request}: {last}")
                    return lines[:-1]


def address(index):
    """100,000 and more of them, half of each family, four grants of one IPv6 /64 at most."""
    if index % 2 == 0:
        index //= 2
        return f"198.{18 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"
    index //= 2
    return f"2001:db8:{0x1000 + (index >> 10):x}:{index >> 2 & 255:x}::{(index & 3) + 1:x}"


control = Control(sys.argv[1])
begun = time.monotonic()
result = {"name": "many " + sys.argv[2]}
if sys.argv[2] == "open":
    for index in range(int(sys.argv[3])):
        control.ask(f"open door=many source={address(index)}")
elif sys.argv[2] == "close":
    control.ask("close all=1")
elif sys.argv[2] == "status":
    lines = control.ask("status")
    result["ms"] = round((time.monotonic() - begun) * 1000)  # parsing it is not the daemon's time
    result["grants"] = sum(len(json.loads(line)["grants"]) for line in lines)
result.setdefault("ms", round((time.monotonic() - begun) * 1000))
print(json.dumps(result))
