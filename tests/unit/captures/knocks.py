#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes knocks.pcap, which unit/packet_path_test.cpp replays: what each packet is for stands there, too.

Doors: ssh = tcp/7143 udp/12899 tcp/4021, nas = udp/33710 tcp/7143 udp/5001. Usage: knocks.py FILE"""
import sys
from scapy.all import (ICMP, IP, IPv6, Raw, TCP, UDP, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PcapWriter)

ROUTER, ROUTER6 = "192.0.2.1", "2001:db8::1"
packets = []
number = 0


def send(at, packet, keep=None):
    """keep: bytes that the capture holds of it."""
    packets.append((at, bytes(packet), keep))


def ip(source):
    return IPv6(src=source, dst=ROUTER6) if ":" in source else IP(src=source, dst=ROUTER, id=next_number())


def next_number():
    global number
    number += 1
    return number


def syn(at, source, port, seq=None, keep=None):
    send(at, ip(source) / TCP(sport=40000, dport=port, flags="S", seq=seq or next_number()), keep)


def udp(at, source, port):
    send(at, ip(source) / UDP(sport=40001, dport=port))


# An honest knock; the answer to the first step was lost, so its SYN comes again, and so does the last one.
syn(0.00, "203.0.113.9", 7143, seq=1001)
udp(0.02, "203.0.113.9", 12899)
syn(1.00, "203.0.113.9", 7143, seq=1001)
syn(1.02, "203.0.113.9", 4021, seq=1002)
syn(2.02, "203.0.113.9", 4021, seq=1002)
# The last two steps are swapped on the way: in time, and too late.
syn(3.00, "198.51.100.7", 7143)
syn(3.02, "198.51.100.7", 4021)
udp(3.03, "198.51.100.7", 12899)
syn(4.00, "198.51.100.8", 7143)
syn(4.02, "198.51.100.8", 4021)
udp(4.22, "198.51.100.8", 12899)
# A scan: it began, four strays are one too many, and its knock is ignored.
for i, port in enumerate((7143, 7144, 7145, 7146, 7147, 7143)):
    syn(5.00 + i / 100, "203.0.113.66", port)
udp(5.06, "203.0.113.66", 12899)
syn(5.07, "203.0.113.66", 4021)
# IPv6: one /64 knocks, from two addresses, with an extension header; the last address gets in.
udp(6.00, "2001:db8:1::9", 33710)
syn(6.02, "2001:db8:1::9", 7143)
send(6.04, ip("2001:db8:1::10") / IPv6ExtHdrHopByHop() / UDP(sport=40001, dport=5001))
# Fragments of what would be a step, and what is no packet at all.
send(7.00, IP(src="198.51.100.9", dst=ROUTER, flags="MF") / UDP(sport=40001, dport=33710) / Raw(b"x" * 8))
send(7.01, IP(src="198.51.100.9", dst=ROUTER, frag=2, proto=17) / Raw(b"x" * 8))
send(7.02, ip("2001:db8:2::9") / IPv6ExtHdrFragment(m=1) / UDP(sport=40001, dport=33710))
send(7.03, b"\x50" + bytes(39))
send(7.04, IP(src="198.51.100.9", dst=ROUTER, proto=47) / Raw(b"x" * 8))
# Cut by the copy range in the header, and in nothing that counts.
syn(8.00, "198.51.100.10", 7143, keep=39)
syn(8.01, "2001:db8:2::a", 7143, keep=39)
send(8.02, ip("198.51.100.10") / UDP(sport=40001, dport=33710) / Raw(b"x" * 500), keep=128)
# No step: the flags, the protocol, and sources that are never let in.
send(9.00, ip("198.51.100.11") / TCP(sport=40000, dport=7143, flags="SA"))
send(9.01, ip("198.51.100.11") / TCP(sport=40000, dport=7143, flags="A"))
send(9.02, ip("198.51.100.11") / ICMP())
syn(9.03, "127.0.0.1", 7143)
syn(9.04, "fe80::9", 7143)
# Too slow: the third step comes 10.5 s after the first.
syn(10.00, "203.0.113.20", 7143)
udp(14.00, "203.0.113.20", 12899)
syn(20.50, "203.0.113.20", 4021)
# Which was no first step. The next knock is one.
udp(21.00, "203.0.113.20", 33710)
syn(21.02, "203.0.113.20", 7143)
udp(21.04, "203.0.113.20", 5001)

writer = PcapWriter(sys.argv[1], linktype=101)
writer.write_header(None)
for at, packet, keep in packets:
    writer.write_packet(packet[:keep], sec=1_700_000_000 + int(at), usec=round(at % 1 * 1e6), wirelen=len(packet))
