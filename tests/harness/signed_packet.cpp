// SPDX-License-Identifier: GPL-2.0-or-later
// A client of signed packets that does what it is told, right or wrong.
//
//   signed_packet answer LINE                 the line that goes back to the admin
//   signed_packet seal LINE [KEY=VALUE...]    packets, each a line of hexadecimal
//   signed_packet send HOST PORT|icmp [COUNT] each packet of stdin COUNT times
//   signed_packet spoof HOST PORT NETWORK     each packet of stdin, from another address of this IPv4 /24 each time
//
// Keys of seal: door op (open close refresh run) flag (no yes for) src ttl args at (ns of the epoch, or now+SECONDS) size
// count (stamps ascend by one; with stamp=same they do not) seed (hexadecimal; the same for `answer` as SEED in the
// environment) server (index) password; and what no honest client says: patch=OFFSET:HEX changes m before it is signed,
// spoil= breaks the seal before it is maced.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sodium/core.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/randombytes.h>

#include <knock/kn1_client.hpp>
#include <knock/line.hpp>

#include "core/spa/layout.hpp"
#include "core/spa/noise_npsk0.hpp"

namespace {

using namespace knock;
using Options = std::map<std::string, std::string>;

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "signed_packet: {}\n", why);
  std::exit(2);
}

std::vector<std::uint8_t> from_hex(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  for (; text.size() >= 2; text.remove_prefix(2)) {
    std::uint8_t byte = 0;
    std::from_chars(text.data(), text.data() + 2, byte, 16);
    bytes.push_back(byte);
  }
  return bytes;
}

kn1::Secret secret_of(std::string_view hex) {
  kn1::Secret secret;
  const auto bytes = from_hex(hex);
  if (bytes.size() != secret.bytes.size()) die("a seed has 64 hexadecimal digits");
  std::copy(bytes.begin(), bytes.end(), secret.bytes.begin());
  return secret;
}

kn1::Secret seed_of(const Options& options) {
  const char* given = std::getenv("SEED");
  const auto own = options.find("seed");
  if (own != options.end()) return secret_of(own->second);
  return secret_of(given != nullptr ? given : std::string(64, '7'));
}

Line line_of(std::string_view text) {
  auto line = parse_line(text);
  if (!line || !line->device) die("no line of a device");
  return std::move(*line);
}

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::uint64_t stamp_of(const std::string& text) {
  if (!text.starts_with("now")) return number_of(text);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto shift = text.size() > 3 ? std::strtoll(text.c_str() + 3, nullptr, 10) : 0;
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count() + shift * 1'000'000'000);
}

kn1::Request request_of(const Options& options, std::span<const std::uint8_t> args) {
  const auto at = [&](const char* key, const char* otherwise) {
    const auto found = options.find(key);
    return found == options.end() ? std::string(otherwise) : found->second;
  };
  static const std::map<std::string, kn1::Op> ops{{"open", kn1::Op::open},
                                                  {"close", kn1::Op::close},
                                                  {"refresh", kn1::Op::refresh},
                                                  {"run", kn1::Op::run}};
  static const std::map<std::string, kn1::Flag> flags{
      {"no", kn1::Flag::unbound}, {"yes", kn1::Flag::bound}, {"for", kn1::Flag::for_src}};
  kn1::Request request;
  request.door = kn1::wire_id(at("door", "ssh"));
  request.op = ops.at(at("op", "open"));
  request.flag = flags.at(at("flag", "no"));
  request.ttl = Seconds{static_cast<std::int64_t>(number_of(at("ttl", "0")))};
  if (const auto src = at("src", ""); !src.empty()) request.src = parse_address(src);
  request.args = args;
  return request;
}

void sign_anew(const kn1::Secret& seed, const kn1::Hash& h, kn1::Bytes m, std::uint8_t* signature) {
  kn1::Public pub;
  std::array<std::uint8_t, crypto_sign_ed25519_SECRETKEYBYTES> key{};
  crypto_sign_ed25519_seed_keypair(pub.data(), key.data(), seed.bytes.data());
  const auto text = kn1::SignedText(h, m);
  crypto_sign_ed25519_detached(signature, nullptr, text.text().data(), text.text().size(), key.data());
}

/// Opens a packet by its ephemeral key, does to it what it is told, and closes it again as a client would.
void meddle(const Options& options, const kn1::Server& server, const kn1::Device& device, std::uint64_t ts,
            const kn1::Secret& ephemeral, std::span<std::uint8_t> packet) {
  const kn1::Head head{kn1::noise::x25519_public(ephemeral), device.kid, ts};
  kn1::Secret dh;
  if (!kn1::noise::x25519(ephemeral, server.pub, dh)) die("a server of small order");
  const auto h = kn1::handshake_hash(server.pub, device.psk, device.mode, head);
  const auto key = kn1::noise::payload_key(kn1::noise::after_psk(device.psk), head.e, dh);
  const auto sealed = kn1::sealed_of(packet);
  std::vector<std::uint8_t> plain(sealed.size() - kn1::noise::kTag);
  if (!kn1::noise::decrypt(key, h, sealed, plain)) die("it does not open");
  if (const auto patch = options.find("patch"); patch != options.end()) {
    const auto bytes = from_hex(patch->second.substr(patch->second.find(':') + 1));
    const auto m = std::span(plain).first(kn1::m_bytes(plain.size(), device.mode));
    std::copy(bytes.begin(), bytes.end(), m.begin() + static_cast<std::ptrdiff_t>(number_of(patch->second)));
    if (device.mode == kn1::Mode::signed_key) sign_anew(device.seed, h, m, plain.data() + m.size());
  }
  kn1::noise::encrypt(key, h, plain, sealed);
  if (options.contains("spoil")) sealed[0] ^= 1U;
  const auto bytes = kn1::encode(head);
  const auto mac = kn1::mac_over(bytes, sealed, kn1::make_mac_key(device.secret, device.mode, server.pub));
  std::copy(mac.begin(), mac.end(), kn1::mac_of(packet).begin());
  const auto hidden = kn1::pad(server, mac);
  for (std::size_t i = 0; i < bytes.size(); ++i) packet[i] = bytes[i] ^ hidden[i];
}

int seal(const Line& line, const Options& options) {
  const auto at = [&](const char* key, const char* otherwise) {
    const auto found = options.find(key);
    return found == options.end() ? std::string(otherwise) : found->second;
  };
  kn1::Device device;
  device.kid = line.device->kid;
  device.secret = line.device->secret;
  device.psk = line.device->secret;
  device.mode = line.kind == LineKind::invite ? kn1::Mode::signed_key : kn1::Mode::symmetric;
  device.seed = seed_of(options);
  if (const auto password = at("password", ""); !password.empty())
    device.psk = kn1::password_psk(device.secret, kn1::argon2id(password, device.secret).value());
  const auto text = at("args", "");
  const std::vector<std::uint8_t> args(text.begin(), text.end());
  const auto request = request_of(options, args);
  const auto smallest = kn1::smallest_size(args.size(), device.mode).value_or(1'088);
  std::vector<std::uint8_t> packet(options.contains("size") ? number_of(at("size", "")) : smallest);
  const auto first = stamp_of(at("at", "now"));
  const auto count = number_of(at("count", "1"));
  const auto same = at("stamp", "") == "same"; // copies of one run
  for (std::uint64_t i = 0; i < count; ++i) {
    kn1::Secret ephemeral;
    randombytes_buf(ephemeral.bytes.data(), ephemeral.bytes.size());
    const auto& server = line.servers.at(number_of(at("server", "0")));
    const auto stamp = first + (same ? 0 : i);
    if (!kn1::seal(request, server, device, stamp, ephemeral, packet)) die("it cannot be sealed");
    meddle(options, server, device, stamp, ephemeral, packet);
    fmt::print("{:02x}\n", fmt::join(packet, ""));
  }
  return 0;
}

/// A ping's header; the kernel sums up what a ping socket sends.
std::vector<std::uint8_t> in_ping(const std::vector<std::uint8_t>& packet, int family) {
  std::vector<std::uint8_t> ping(8);
  ping[0] = family == AF_INET6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
  ping.insert(ping.end(), packet.begin(), packet.end());
  return ping;
}

int send(const char* host, std::string_view port, std::uint64_t count) {
  const bool icmp = port == "icmp";
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST;
  if (::getaddrinfo(host, icmp ? nullptr : std::string(port).c_str(), &hints, &found) != 0)
    die("no such host");
  const int family = found->ai_family;
  const int ping = family == AF_INET6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
  const int protocol = icmp ? ping : 0;
  const int fd = ::socket(family, SOCK_DGRAM, protocol);
  if (fd < 0 || ::connect(fd, found->ai_addr, found->ai_addrlen) != 0) die(std::strerror(errno));
  ::freeaddrinfo(found);
  for (std::string hex; std::getline(std::cin, hex);) {
    auto packet = from_hex(hex);
    if (icmp) packet = in_ping(packet, family);
    for (std::uint64_t i = 0; i < count; ++i)
      if (::send(fd, packet.data(), packet.size(), 0) < 0) // what was sent before found a closed port
        (void)::send(fd, packet.data(), packet.size(), 0);
  }
  ::close(fd);
  return 0;
}

std::uint16_t sum_of(const iphdr& header) {
  std::array<std::uint16_t, sizeof(iphdr) / 2> words{};
  std::memcpy(words.data(), &header, sizeof header);
  std::uint32_t sum = 0;
  for (const auto word : words) sum += word;
  return static_cast<std::uint16_t>(~((sum & 0xffffU) + (sum >> 16U)));
}

int spoof(const char* host, std::string_view port, const char* network) {
  sockaddr_in to{};
  in_addr from{};
  to.sin_family = AF_INET;
  if (::inet_pton(AF_INET, host, &to.sin_addr) != 1 || ::inet_pton(AF_INET, network, &from) != 1)
    die("no address of IPv4");
  std::vector<std::vector<std::uint8_t>> packets;
  for (std::string hex; std::getline(std::cin, hex);) packets.push_back(from_hex(hex));
  const int fd = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) die(std::strerror(errno));
  const auto begun = std::chrono::steady_clock::now();
  std::uint32_t at = 0;
  for (const auto& packet : packets) {
    iphdr header{};
    header.version = 4;
    header.ihl = 5;
    header.ttl = 64;
    header.protocol = IPPROTO_UDP;
    header.daddr = to.sin_addr.s_addr;
    header.saddr = from.s_addr | htonl(1 + at++ % 254);
    header.tot_len = htons(static_cast<std::uint16_t>(sizeof(iphdr) + sizeof(udphdr) + packet.size()));
    header.check = sum_of(header);
    udphdr udp{};
    udp.source = htons(static_cast<std::uint16_t>(1'024 + at % 60'000));
    udp.dest = htons(static_cast<std::uint16_t>(number_of(port)));
    udp.len = htons(
        static_cast<std::uint16_t>(sizeof(udphdr) + packet.size())); // without a checksum, as IPv4 may be
    std::vector<std::uint8_t> bytes(sizeof(iphdr) + sizeof(udphdr));
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, &udp, sizeof udp);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    if (::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
      die(std::strerror(errno));
  }
  ::close(fd);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  fmt::print("{} packets, {:.0f} a second\n", packets.size(),
             static_cast<double>(packets.size()) / took.count());
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (::sodium_init() < 0 || words.size() < 2)
    die("answer LINE | seal LINE [KEY=VALUE...] | send HOST PORT [COUNT]");
  if (words[0] == "send" && words.size() > 2)
    return send(argv[2], words[2], words.size() > 3 ? number_of(words[3]) : 1);
  if (words[0] == "spoof" && words.size() == 4) return spoof(argv[2], words[2], argv[4]);
  const auto line = line_of(words[1]);
  Options options;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    options[words[i].substr(0, equals)] = equals == std::string::npos ? "" : words[i].substr(equals + 1);
  }
  if (words[0] == "seal") return seal(line, options);
  const auto key = kn1::signing_public(seed_of(options));
  fmt::print("{}\n", encode(make_answer(*line.device, key)));
  return 0;
}
