#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the recordings that unit/replay.sh reads; its doors and what becomes of each packet stand there. Usage: replay.py DIRECTORY"""
import logging
import os
import struct
import sys

from scapy.all import (ARP, CookedLinux, CookedLinuxV2, Dot1Q, Ether, ICMP, ICMPv6EchoRequest, IP, IPv6, PcapNgWriter, Raw, TCP,
                       UDP, wrpcap)

logging.getLogger("scapy").setLevel(logging.ERROR) # IPv4 and IPv6 in one file of raw packets
os.chdir(sys.argv[1])
ROUTER, ROUTER6 = "192.0.2.1", "2001:db8::1"
number = 0
packets = []


def send(at, packet):
    packet.time = 1_700_000_000 + at
    packets.append(packet)


def ip(source, to=ROUTER):
    global number
    number += 1
    return IPv6(src=source, dst=ROUTER6) if ":" in source else IP(src=source, dst=to, id=number)


def syn(at, source, port, flags="S", to=ROUTER, sport=40000):
    send(at, ip(source, to) / TCP(sport=sport, dport=port, flags=flags, seq=number))


def udp(at, source, port, payload=b"", sport=40001, to=ROUTER):
    send(at, ip(source, to) / UDP(sport=sport, dport=port) / Raw(payload))


def ping(at, source, payload=b""):
    send(at, ip(source) / (ICMPv6EchoRequest(data=payload) if ":" in source else ICMP() / Raw(payload)))


def knock(at, source):
    """That of door ssh, a step each 20 ms."""
    syn(at, source, 7143)
    udp(at + 0.02, source, 12899, b"knock")
    syn(at + 0.04, source, 4021)


def framed(link):
    """What is in `packets`, each in a frame of that link."""
    out = []
    for packet in packets:
        frame = link(0x86DD if packet.version == 6 else 0x0800) / packet.copy()
        frame.time = packet.time
        out.append(frame)
    return out


# links: the same in each kind of frame; beside it what is no IP, and the router's own answers.
knock(0, "203.0.113.9")
knock(1, "2001:db8:9::9")
answer = IP(src=ROUTER, dst="203.0.113.9") / TCP(sport=7143, dport=7143, flags="S")
answer.time = 1_700_000_002
noise = Ether() / ARP()
noise.time = answer.time
wrpcap("ethernet.pcap", [*framed(lambda kind: Ether(dst="02:00:00:00:00:01", type=kind)), noise])
wrpcap("vlan.pcap", framed(lambda kind: Ether(dst="02:00:00:00:00:01") / Dot1Q(vlan=7, type=kind)))
wrpcap("nanoseconds.pcap", framed(lambda kind: Ether(dst="02:00:00:00:00:01", type=kind)), nano=True)
wrpcap("raw.pcap", packets, linktype=101)
# Of what the machine that recorded sent itself nothing is a knock; nor what goes to a group.
for name, link, number_of in (("sll", CookedLinux, 113), ("sll2", CookedLinuxV2, 276)):
    frames = framed(lambda kind: link(pkttype=0, proto=kind))
    for kind in (4, 1):
        frame = link(pkttype=kind, proto=0x0800) / answer.copy()
        frame.time = answer.time
        frames.append(frame)
    wrpcap(name + ".pcap", frames, linktype=number_of)
nflog = []
for packet in packets:
    data = bytes(packet)
    parts = struct.pack("=HH", 8, 1) + b"\0\0\0\0" + struct.pack("=HH", 4 + len(data), 9) + data + bytes(-len(data) % 4)
    frame = Raw(bytes((10 if packet.version == 6 else 2, 0, 0, 40)) + parts)
    frame.time = packet.time
    nflog.append(frame)
wrpcap("nflog.pcap", nflog, linktype=239)
writer = PcapNgWriter("ethernet.pcapng")
for frame in framed(lambda kind: Ether(dst="02:00:00:00:00:01", type=kind)):
    writer.write(frame)
writer.close()
wrpcap("wireless.pcap", packets, linktype=105)
with open("ethernet.pcap", "rb") as whole, open("torn.pcap", "wb") as torn:
    torn.write(whole.read()[:-50])

# kinds: words, lengths, flags, both pings, and each of them not quite right.
packets.clear()
udp(0.0, "203.0.113.1", 5000, b"say Passw0rd!")
udp(0.1, "203.0.113.1", 5000, b"x" * 42)
syn(0.2, "203.0.113.1", 6000, flags="FS")
ping(0.3, "203.0.113.1", b"y" * 7)
udp(1.0, "203.0.113.2", 5000, b"say password!")
udp(1.1, "203.0.113.2", 5000, b"say Passw0rd!")
udp(1.2, "203.0.113.2", 5000, b"x" * 41)
udp(1.3, "203.0.113.2", 5000, b"x" * 42)
syn(1.4, "203.0.113.2", 6000, flags="FSU")
syn(1.5, "203.0.113.2", 6000, flags="FS")
ping(1.6, "203.0.113.2", b"y" * 8)
ping(2.0, "2001:db8:1::1", b"let me out")
ping(2.1, "2001:db8:1::2", b"let me out")
ping(3.0, "2001:db8:2::1", b"let me in")
send(3.1, IPv6(src=ROUTER6, dst="2001:db8:2::1") / TCP(sport=6001, dport=40000, flags="RA"))  # no answer of a listener
syn(3.2, "2001:db8:2::1", 6001, flags="F")
udp(4.0, "203.0.113.4", 5000, b"say Passw0rd!")
udp(4.1, "203.0.113.4", 5000, b"x" * 42)
syn(4.2, "203.0.113.4", 8443)                        # here something listens, which only its answer tells
syn(4.21, ROUTER, 40000, flags="SA", to="203.0.113.4", sport=8443)
syn(4.22, "203.0.113.4", 8443, flags="A")
wrpcap("kinds.pcap", packets, linktype=101)

# rhythm: in time; the pause too short; the pause too long; a pause where there is none.
packets.clear()
for i, gaps in enumerate(((1.0, 0.1), (0.5, 0.1), (1.5, 0.1), (1.0, 0.8))):
    source, at = f"203.0.113.{i + 1}", 10.0 * i
    syn(at, source, 7001)
    syn(at + gaps[0], source, 7002)
    syn(at + gaps[0] + gaps[1], source, 7003)
wrpcap("rhythm.pcap", packets, linktype=101)

# doubts: what the kernel reports of other traffic.
packets.clear()
syn(0.0, "203.0.113.1", 7143)
syn(0.1, "203.0.113.1", 22)                          # guarded: no stray
udp(0.15, "203.0.113.1", 17022, bytes(192))          # signed: no stray
syn(0.2, "203.0.113.1", 8080)                        # the one stray
udp(0.3, "203.0.113.1", 53)                          # the next, since nothing answered yet
udp(0.31, ROUTER, 40001, sport=53, to="203.0.113.1")
udp(0.4, "203.0.113.1", 53)                          # of a connection
udp(0.5, "203.0.113.1", 5353, to="224.0.0.251")      # not for the router
udp(0.6, "203.0.113.1", 12899)
syn(0.7, "203.0.113.1", 4021)
knock(1.0, "198.51.100.9")                           # trusted
syn(2.0, "203.0.113.5", 7143, flags="SA")
syn(3.0, "203.0.113.6", 4021)                        # begins nothing
udp(3.5, "203.0.113.8", 12899)                       # the second step alone: the first may still come
syn(4.0, "203.0.113.7", 7143)
udp(3.8, "203.0.113.7", 12899)                       # older than the packet before, and so is the next
syn(3.9, "203.0.113.7", 7144)
syn(20.0, "203.0.113.1", 4021)                       # long after it got in
wrpcap("doubts.pcap", packets, linktype=101)

# cut: behind 60 bytes a word may be.
packets.clear()
udp(0.0, "203.0.113.1", 5000, b"x" * 100 + b"Passw0rd")
whole = bytes(packets[0])
with open("cut.pcap", "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 60, 101))
    file.write(struct.pack("<IIII", 1_700_000_000, 0, 60, len(whole)) + whole[:60])
