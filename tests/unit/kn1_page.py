#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# A second client, written from knockgate-kn1(7) and the RFCs alone, without a library: does it make the packets of
# packaging/kn1-vectors.txt, and read the page's two lines? Slow, and not safe against who measures its times: a test.
# Usage: kn1_page.py VECTORS PAGE
import base64, hashlib, hmac, json, re, sys


def blake2b(bits, data, key=b""):
    return hashlib.blake2b(data, digest_size=bits // 8, key=key).digest()


# ---- RFC 7748, 5
P = 2**255 - 19


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & ~7 & (2**254 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swapped != bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# ---- RFC 8439, 2.3 to 2.8
def chacha20(key, counter, nonce):
    def rotated(value, by):
        return (value << by | value >> (32 - by)) & 0xFFFFFFFF

    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    start += [int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4)]
    start += [counter] + [int.from_bytes(nonce[i : i + 4], "little") for i in range(0, 12, 4)]
    s = start[:]
    for i in range(80):
        column = i % 8 < 4
        n = i % 4
        a, b, c, d = (n, n + 4, n + 8, n + 12) if column else (n, (n + 1) % 4 + 4, (n + 2) % 4 + 8, (n + 3) % 4 + 12)
        for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotated(s[z] ^ s[x], by)
    return b"".join(((x + y) & 0xFFFFFFFF).to_bytes(4, "little") for x, y in zip(s, start))


def seal(key, nonce, extra, plain):
    stream = b"".join(chacha20(key, i + 1, nonce) for i in range(len(plain) // 64 + 1))
    sealed = bytes(x ^ y for x, y in zip(plain, stream))
    one_time = chacha20(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    text = extra + bytes(-len(extra) % 16) + sealed + bytes(-len(sealed) % 16)
    text += len(extra).to_bytes(8, "little") + len(sealed).to_bytes(8, "little")
    total = 0
    for i in range(0, len(text), 16):
        total = (total + int.from_bytes(text[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    tag = (total + int.from_bytes(one_time[16:32], "little")) % 2**128
    return sealed + tag.to_bytes(16, "little")


# ---- RFC 8032, 5.1
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Y = 4 * pow(5, P - 2, P) % P
X = pow((Y * Y - 1) * pow(D * Y * Y + 1, P - 2, P) % P, (P + 3) // 8, P)
if (X * X * (D * Y * Y + 1) - Y * Y + 1) % P:
    X = X * pow(2, (P - 1) // 4, P) % P
BASE = (X if X % 2 == 0 else P - X, Y)


def add(one, other):
    (a, b), (c, d) = one, other
    t = D * a * b * c * d % P
    return (a * d + b * c) * pow(1 + t, P - 2, P) % P, (b * d + a * c) * pow(1 - t, P - 2, P) % P


def times(scalar):
    total, power = (0, 1), BASE
    while scalar:
        if scalar & 1:
            total = add(total, power)
        power = add(power, power)
        scalar >>= 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


def sign(seed, text):
    both = hashlib.sha512(seed).digest()
    a = int.from_bytes(both[:32], "little") & ~7 & (2**254 - 1) | 2**254
    r = int.from_bytes(hashlib.sha512(both[32:] + text).digest(), "little") % L
    point = times(r)
    k = int.from_bytes(hashlib.sha512(point + times(a) + text).digest(), "little")
    return point + ((r + k * a) % L).to_bytes(32, "little")


# ---- the page
def HASH(data):
    return blake2b(512, data)


def HKDF(c, data):
    def hmac_of(key, text):
        return hmac.new(key, text, hashlib.blake2b).digest()

    t = hmac_of(c, data)
    first = hmac_of(t, b"\1")
    return first, hmac_of(t, first + b"\2")


def packet(size, server, device, ts, secret, request):
    pub, hide = server
    mode, kid, d, psk, seed = device
    e = x25519(secret, (9).to_bytes(32, "little"))
    stamp = ts.to_bytes(8, "big")
    c = h = b"Noise_Npsk0_25519_ChaChaPoly_BLAKE2b" + bytes(28)
    h = HASH(h + b"KN1" + mode + kid + stamp)
    h = HASH(h + pub)
    c, x = HKDF(c, psk)
    h = HASH(h + x)
    h = HASH(h + e)
    c, x = HKDF(c, e)
    c, x = HKDF(c, x25519(secret, pub))
    m = blake2b(64, b"KN1 door " + request["door_name"].encode())
    args = bytes.fromhex(request["args"])
    m += bytes([request["op"], request["flags"]]) + len(args).to_bytes(2, "big") + request["ttl"].to_bytes(4, "big")
    m += bytes.fromhex(request["src"]) + args
    m += bytes(size - (144 if mode == b"A" else 80) - len(m))
    plain = m + (sign(seed, b"KN1 sig " + h + m) if mode == b"A" else b"")
    sealed = seal(x[:32], bytes(12), h, plain)
    head = e + kid + stamp
    mac1 = blake2b(128, head + sealed, blake2b(256, b"KN1 mac1 " + mode + pub, d))
    hidden = blake2b(384, b"KN1 hide " + pub + mac1, hide)
    return bytes(a ^ b for a, b in zip(head, hidden)) + sealed + mac1


def decoded(line):
    text = re.sub(r"\s", "", line).upper().removeprefix("KNOCKGATE:")
    return base64.b32decode(text + "=" * (-len(text) % 8))


def check(what, right):
    if not right:
        sys.exit("not as in the file: " + what)


blocks = [
    dict(line.split(" ", 1) for line in block.split("\n") if line and not line.startswith("#"))
    for block in open(sys.argv[1]).read().split("\n\n")
]
keys = {name: bytes.fromhex(value) for name, value in blocks[0].items() if name != "CAROL_PASSWORD"}
server = keys["SERVER_PUB"], keys["HIDE_KEY"]
psk = blake2b(256, b"KN1 pw " + keys["CAROL_ARGON2ID"], keys["CAROL_D"])
devices = {
    "A": (b"A", keys["ALICE_KID"], keys["ALICE_D"], keys["ALICE_D"], keys["ALICE_ED25519_SEED"]),
    "S": (b"S", keys["BOB_KID"], keys["BOB_D"], keys["BOB_D"], None),
    "P": (b"S", keys["CAROL_KID"], keys["CAROL_D"], psk, None),
}
made = 0
for block in blocks[1:]:
    if "NAME" in block:
        fields = json.loads(block["FIELDS"])
        secret = bytes.fromhex(block["E_PRIV"])
        one = packet(int(block["LEN"]), server, devices[block["NAME"][0]], fields["ts"], secret, fields)
        check(block["NAME"], one.hex() == block["PACKET"])
        made += 1

page = open(sys.argv[2]).read()
invite, answer = [decoded(one) for one in re.findall(r"(KNOCKGATE:[A-Z2-7\n]+?)\n(?:\n|\.fi)", page)]
check("the sum of the invite", blake2b(256, invite[:-4])[:4] == invite[-4:])
rest, fields = invite[2:-4], {}
while rest:
    fields[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
check("its keys", (fields[3], fields[4]) == (b"".join(server), keys["ALICE_KID"] + keys["ALICE_D"]))
check("its texts", [fields[i] for i in (1, 2, 6, 7)] == [b"router.example", b"udp/17022", b"alice/laptop", b"ssh tcp/22 for=30s"])
check("its end", int.from_bytes(fields[8], "big") == 1796205600)
join = keys["ALICE_KID"] + keys["ALICE_PUB"]
check("the answer", answer == b"\1K" + join + blake2b(128, b"KN1 join " + join, keys["ALICE_D"]))
print(f"{made} packets are the same, and both lines are read")
