// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>

#include <knock/enrol.hpp>

#include "history.hpp"

namespace knock::simulation {
namespace {

using Part = ConfigText::Part;

constexpr std::uint32_t kBadUsers = 6, kUntil = 7;

kn1::Secret secret_of(std::uint8_t first) {
  kn1::Secret secret;
  for (std::size_t i = 0; i < secret.bytes.size(); ++i)
    secret.bytes[i] = static_cast<std::uint8_t>(first + 7 * i);
  return secret;
}

const kn1::ServerKey& server() {
  static const auto kServer = kn1::make_server_key(secret_of(1), secret_of(2));
  return kServer;
}

Sender made(std::string_view label, std::uint8_t first, kn1::Mode mode, bool counter) {
  kn1::Kid kid;
  kid.bytes.fill(first);
  return {label, {kid, secret_of(first), secret_of(first), mode, secret_of(first + 100)}, counter};
}

/// Of the clock of straw, a thousand seconds before its first event.
constexpr Moment kMade{Seconds{1'790'000'000}};

Device device_of(const Sender& sender) {
  Device device;
  device.label = sender.label;
  device.user = device.label.substr(0, device.label.find('/'));
  device.name = device.label.substr(device.user.size() + 1);
  device.accepts = sender.keys.mode == kn1::Mode::signed_key ? Accepts::kn1 : Accepts::psk;
  device.key = {sender.keys.kid, sender.keys.secret, sender.keys.psk, {}};
  if (device.accepts == Accepts::kn1) device.key.public_key = kn1::signing_public(sender.keys.seed);
  device.counter = sender.counter;
  if (sender.label == "ann/phone") device.openings = 5;
  if (sender.label == "bob/pad") device.require_source = false;
  return device;
}

/// 0: all; 1: without a device; 2: without a user; 3: without another; 4: fewer doors, a user off; 5: nobody; 6: a
/// file that is bad; from 7 on: users until a date, each ten minutes later than the one before.
std::vector<ConfigText> user_files(std::uint32_t way) {
  std::vector<ConfigText> texts;
  if (way == 5) return texts;
  for (const auto* name : {"ann", "bob"}) {
    if ((way == 2 && name == std::string_view("bob")) || (way == 3 && name == std::string_view("ann")))
      continue;
    User user;
    user.name = name;
    user.doors = {"ssh", "adm", "idle", "disc", "uses", "fwd", "run", "bare", "long"};
    if (way >= kUntil) user.until = kMade + Seconds{1'000 + 600 * (way - kUntil + 1)};
    if (way == 4 && user.name == "ann") user.doors = {"ssh"};
    if (way == 4 && user.name == "bob") user.enabled = false;
    texts.push_back({"users.d/" + user_file(user.name), user_text(user), Part::users});
    for (std::uint32_t at = 0; at < kDevices; ++at) {
      const auto device = device_of(sender(at));
      if (device.user != user.name || (way == 1 && device.name == "phone")) continue;
      const bool bad = way == kBadUsers && device.name == "phone";
      texts.push_back({"users.d/" + device_file(device.user, device.name),
                       bad ? "[user.ann.phone" : device_text(device).text, Part::users});
    }
  }
  return texts;
}

/// Doors that take signed packets beside what they take.
std::string with_kn1(std::string text) {
  for (const auto* name : {"ssh", "adm", "idle", "disc", "uses", "fwd", "run", "bare", "long"}) {
    const auto head = "[door." + std::string(name) + "]\n";
    if (const auto at = text.find(head); at != text.npos) text.insert(at + head.size(), "kn1 = true\n");
  }
  return text;
}

} // namespace

const Sender& sender(std::uint32_t at) {
  static const std::array kSenders{made("ann/laptop", 10, kn1::Mode::signed_key, false),
                                   made("ann/phone", 20, kn1::Mode::symmetric, false),
                                   made("bob/pad", 30, kn1::Mode::symmetric, false),
                                   made("bob/box", 40, kn1::Mode::signed_key, true)};
  return kSenders.at(at);
}

const Address& home_of(std::uint32_t device) {
  return sources()[device];
}

Kn1Record sealed(const Sender& sender, const Asks& asks, std::uint64_t stamp, const Address& from) {
  kn1::Request request;
  request.door = kn1::wire_id(asks.door);
  request.op = asks.op;
  request.flag = asks.src ? kn1::Flag::bound : kn1::Flag::unbound;
  request.src = asks.src;
  request.ttl = asks.ttl;
  auto ephemeral = secret_of(3);
  for (std::size_t i = 0; i < 8; ++i) ephemeral.bytes[8 + i] = static_cast<std::uint8_t>(stamp >> (8 * i));
  std::vector<std::uint8_t> packet(kn1::smallest_size(0, sender.keys.mode).value());
  Kn1Record record;
  record.server = server().server.pub;
  record.source = from;
  const bool made = kn1::seal(request, server().server, sender.keys, stamp, ephemeral, packet);
  record.head = kn1::unmask(packet, server().server);
  const bool opened =
      kn1::open(packet, record.head, server(), sender.keys.psk, sender.keys.mode, record.plain);
  KNOCK_ASSERT(made && opened);
  return record;
}

std::shared_ptr<const ParsedConfig> files(bool embed, std::uint32_t config, std::uint32_t users) {
  static std::map<std::tuple<bool, std::uint32_t, std::uint32_t>, std::shared_ptr<const ParsedConfig>> known;
  auto& parsed = known[{embed, config, users}];
  if (parsed) return parsed;
  auto texts = configs(embed)[config]->texts;
  for (auto& text : texts) text.text = with_kn1(std::move(text.text));
  for (auto& text : user_files(users)) texts.push_back(std::move(text));
  texts.push_back({"kn1.key", keys_text(std::array{ServerKey{kMade, server(), {}, {}}}).text, Part::keys});
  parsed = std::make_shared<const ParsedConfig>(parse_config(texts));
  const bool good = configs(embed)[config]->config.has_value() && users != kBadUsers;
  if (parsed->config.has_value() == good) return parsed;
  for (const auto& finding : parsed->findings) std::fprintf(stderr, "%s\n", to_string(finding).c_str());
  std::abort();
}

} // namespace knock::simulation
