// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/line.hpp>

#include <algorithm>

#include <sodium/utils.h>

#include "core/config/words.hpp"
#include "core/spa/base32.hpp"
#include "core/spa/blake2b.hpp"
#include "core/spa/layout.hpp"
#include "core/spa/line_door.hpp"

namespace knock {
namespace {

constexpr std::string_view kPrefix = "KNOCKGATE:";
constexpr std::uint8_t kVersion = 1;
constexpr auto kAnswer = static_cast<std::uint8_t>('K');
constexpr std::size_t kSumBytes = 4;
constexpr std::size_t kAnswerBytes = 2 + 8 + 32 + 16;
constexpr std::size_t kMaxValue = 255;
constexpr std::uint8_t kFirstToSkip = 128; // of tags

enum Tag : std::uint8_t {
  host_tag = 1,
  port_tag,
  server_tag,
  device_tag,
  rotating_tag,
  name_tag,
  door_tag,
  claim_tag,
  until_tag,
  words_tag
};

/// How often each field stands in a line of a kind: least and most.
struct Rule {
  Tag tag;
  std::size_t least, most;
};
using Rules = std::array<Rule, 10>;

Rules rules_of(LineKind kind) {
  const bool rotating = kind == LineKind::rotating;
  const std::size_t packets = rotating || kind == LineKind::knock ? 0 : 1;
  const std::size_t device = kind == LineKind::knock ? 0 : 1;
  return {{{host_tag, 1, 4},
           {port_tag, packets, 4 * packets},
           {server_tag, packets, 4 * packets},
           {device_tag, packets, packets},
           {rotating_tag, rotating ? 1U : 0U, rotating ? 1U : 0U},
           {name_tag, device, device},
           {door_tag, 1, 16},
           {claim_tag, 0, kind == LineKind::invite ? 1U : 0U},
           {until_tag, 0, device},
           {words_tag, 0, device}}};
}

std::array<std::uint8_t, kSumBytes> sum_of(kn1::Bytes bytes) {
  const auto digest = kn1::Blake2b<32>().add(bytes).digest();
  std::array<std::uint8_t, kSumBytes> sum{};
  std::copy_n(digest.begin(), sum.size(), sum.begin());
  return sum;
}

std::string_view text_of(kn1::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// What is behind the prefix, of which case and blanks do not count.
std::optional<std::string_view> behind_prefix(std::string_view text) {
  std::size_t met = 0;
  std::size_t at = 0;
  for (; at < text.size() && met < kPrefix.size(); ++at) {
    const char c = text[at];
    if (is_blank(c)) continue;
    const char capital = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (capital != kPrefix[met++]) return std::nullopt;
  }
  if (met < kPrefix.size()) return std::nullopt;
  return text.substr(at);
}

bool unpack(std::string_view text, base32::Buffer& out) {
  const auto rest = behind_prefix(text);
  return rest && base32::decode(*rest, out) && out.bytes().size() > 2;
}

kn1::Secret secret_of(kn1::Bytes bytes) {
  kn1::Secret secret;
  std::copy_n(bytes.begin(), secret.bytes.size(), secret.bytes.begin());
  return secret;
}

kn1::Server server_of(kn1::Bytes value) {
  kn1::Server server;
  std::copy_n(value.begin(), server.pub.size(), server.pub.begin());
  server.hide = secret_of(value.subspan(32));
  return server;
}

LineDevice device_of(kn1::Bytes value) {
  LineDevice device;
  std::copy_n(value.begin(), device.kid.bytes.size(), device.kid.bytes.begin());
  device.secret = secret_of(value.subspan(8));
  return device;
}

bool is_kn1_port(std::string_view text) {
  const auto port = parse_port(text);
  return text == "icmp" || (port && port->protocol == Protocol::udp);
}

bool is_label(std::string_view text) {
  const auto user = line::take_until(text, '/');
  return grammar::is_name(user) && grammar::is_name(text);
}

using Fault = std::optional<LineFault>;

Fault read_words(std::string_view text, Line& line) {
  if (text.empty() || text.ends_with(' ')) return LineFault::unfit;
  while (!text.empty()) {
    const auto word = line::take_until(text, ' ');
    bool* flag = word == "counter"   ? &line.counter
                 : word == "bound"   ? &line.bound
                 : word == "for-src" ? &line.for_src
                                     : nullptr;
    if (flag == nullptr) return word.empty() ? LineFault::unfit : LineFault::newer;
    if (std::exchange(*flag, true)) return LineFault::unfit;
  }
  return std::nullopt;
}

Fault read_field(std::uint8_t tag, kn1::Bytes value, Line& line) {
  const auto text = text_of(value);
  const auto of_size = [&](std::size_t size) { return value.size() == size; };
  const auto done = [](bool right) { return right ? std::nullopt : Fault(LineFault::unfit); };
  switch (tag) {
  case host_tag: line.hosts.emplace_back(text); return done(line::is_host(text));
  case port_tag: line.ports.emplace_back(text); return done(is_kn1_port(text));
  case server_tag:
    if (of_size(64)) line.servers.push_back(server_of(value));
    return done(of_size(64));
  case device_tag:
    if (of_size(40)) line.device = device_of(value);
    return done(of_size(40));
  case rotating_tag:
    if (of_size(32)) line.rotating = secret_of(value);
    return done(of_size(32));
  case name_tag: line.name = text; return done(is_label(text));
  case door_tag: {
    auto door = line::parse_door(text);
    if (!door) return door.error();
    line.doors.push_back(std::move(*door));
    return std::nullopt;
  }
  case claim_tag: line.claim = kn1::number_of(value); return done(of_size(8));
  case until_tag: line.until = kn1::number_of(value); return done(of_size(8));
  case words_tag: return read_words(text, line);
  default: return tag < kFirstToSkip ? Fault(LineFault::newer) : std::nullopt;
  }
}

bool is_known(std::uint8_t kind) {
  return std::string_view("APRSW").find(static_cast<char>(kind)) != std::string_view::npos;
}

tl::expected<Line, LineFault> read_fields(LineKind kind, kn1::Bytes fields) {
  Line line;
  line.kind = kind;
  std::array<std::size_t, 256> met{};
  while (!fields.empty()) {
    if (fields.size() < 2 || fields.size() < 2U + fields[1]) return tl::unexpected(LineFault::unfit);
    const auto tag = fields[0];
    const auto value = fields.subspan(2, fields[1]);
    fields = fields.subspan(2 + value.size());
    ++met[tag];
    if (const auto fault = read_field(tag, value, line)) return tl::unexpected(*fault);
  }
  for (const auto& rule : rules_of(kind))
    if (met[rule.tag] < rule.least || met[rule.tag] > rule.most) return tl::unexpected(LineFault::unfit);
  const bool knocks = std::all_of(line.doors.begin(), line.doors.end(),
                                  [](const LineDoor& door) { return !door.knock.empty(); });
  if (kind == LineKind::knock && !knocks) return tl::unexpected(LineFault::unfit);
  return line;
}

/// Adds fields to a line; whether all fitted is asked at the end.
struct FieldWriter {
  base32::Buffer buffer;
  bool fits = true;

  void field(Tag tag, kn1::Bytes value, kn1::Bytes more = {}) {
    const auto size = value.size() + more.size();
    fits = fits && size <= kMaxValue && buffer.add(tag) && buffer.add(static_cast<std::uint8_t>(size)) &&
           buffer.add(value) && buffer.add(more);
  }
  void field(Tag tag, std::string_view text) { field(tag, kn1::bytes_of(text)); }
  void field(Tag tag, std::uint64_t number) {
    std::array<std::uint8_t, 8> bytes{};
    kn1::put_number(number, bytes);
    field(tag, kn1::Bytes(bytes));
  }
};

std::string words_of(const Line& line) {
  std::string words;
  const auto add = [&](bool flag, std::string_view word) {
    if (flag) words += (words.empty() ? "" : " ") + std::string(word);
  };
  add(line.counter, "counter");
  add(line.bound, "bound");
  add(line.for_src, "for-src");
  return words;
}

void write_fields(const Line& line, FieldWriter& out) {
  for (const auto& host : line.hosts) out.field(host_tag, host);
  for (const auto& port : line.ports) out.field(port_tag, port);
  for (const auto& server : line.servers) out.field(server_tag, server.pub, server.hide.bytes);
  if (line.device) out.field(device_tag, line.device->kid.bytes, line.device->secret.bytes);
  if (line.rotating) out.field(rotating_tag, kn1::Bytes(line.rotating->bytes));
  if (!line.name.empty()) out.field(name_tag, line.name);
  for (const auto& door : line.doors) out.field(door_tag, line::text_of(door));
  if (line.claim) out.field(claim_tag, *line.claim);
  if (line.until) out.field(until_tag, *line.until);
  if (const auto words = words_of(line); !words.empty()) out.field(words_tag, words);
}

std::string text_of_all(kn1::Bytes bytes) {
  std::string text;
  text.reserve(kMaxLine + 1); // in one place, so that no copy stays behind
  text = kPrefix;
  base32::encode(bytes, text);
  return text;
}

std::array<std::uint8_t, 16> check_of(const LineDevice& device, const kn1::Public& key) {
  return kn1::Blake2b<16>(device.secret.bytes).add("KN1 join ").add(device.kid.bytes).add(key).digest();
}

} // namespace

tl::expected<Line, LineFault> parse_line(std::string_view text) {
  base32::Buffer buffer;
  if (!unpack(text, buffer)) return tl::unexpected(LineFault::no_line);
  const auto bytes = buffer.bytes();
  if (bytes[0] == kVersion && bytes[1] == kAnswer && bytes.size() == kAnswerBytes)
    return tl::unexpected(LineFault::answer);
  if (bytes.size() < 2 + kSumBytes) return tl::unexpected(LineFault::damaged);
  const auto summed = bytes.first(bytes.size() - kSumBytes);
  if (!std::ranges::equal(sum_of(summed), bytes.last(kSumBytes))) return tl::unexpected(LineFault::damaged);
  if (bytes[0] != kVersion || !is_known(bytes[1])) return tl::unexpected(LineFault::newer);
  return read_fields(static_cast<LineKind>(bytes[1]), summed.subspan(2));
}

std::optional<std::string> encode(const Line& line) {
  FieldWriter out;
  const std::array head{kVersion, static_cast<std::uint8_t>(line.kind)};
  out.fits = out.buffer.add(kn1::Bytes(head));
  write_fields(line, out);
  if (!out.fits || !out.buffer.add(sum_of(out.buffer.bytes()))) return std::nullopt;
  auto text = text_of_all(out.buffer.bytes());
  auto meant = line;
  for (auto& door : meant.doors)
    for (auto& step : door.knock) step = line::step_as_read(step);
  const auto read = parse_line(text);
  if (read && *read == meant) return text;
  sodium_memzero(text.data(), text.size());
  return std::nullopt;
}

LineAnswer make_answer(const LineDevice& device, const kn1::Public& key) {
  return {device.kid, key, check_of(device, key)};
}

bool fits(const LineAnswer& answer, const LineDevice& device) {
  const auto check = check_of({answer.kid, device.secret}, answer.key);
  return answer.kid == device.kid && sodium_memcmp(check.data(), answer.check.data(), check.size()) == 0;
}

std::string encode(const LineAnswer& answer) {
  base32::Buffer buffer;
  const std::array head{kVersion, kAnswer};
  (void)(buffer.add(kn1::Bytes(head)) && buffer.add(answer.kid.bytes) && buffer.add(answer.key) &&
         buffer.add(answer.check));
  return text_of_all(buffer.bytes());
}

std::optional<LineAnswer> parse_answer(std::string_view text) {
  base32::Buffer buffer;
  if (!unpack(text, buffer)) return std::nullopt;
  auto bytes = buffer.bytes();
  if (bytes.size() != kAnswerBytes || bytes[0] != kVersion || bytes[1] != kAnswer) return std::nullopt;
  LineAnswer answer;
  bytes = bytes.subspan(2);
  std::copy_n(bytes.begin(), 8, answer.kid.bytes.begin());
  std::copy_n(bytes.begin() + 8, 32, answer.key.begin());
  std::copy_n(bytes.begin() + 40, 16, answer.check.begin());
  return answer;
}

} // namespace knock
