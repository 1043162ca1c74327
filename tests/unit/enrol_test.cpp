// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/enrol.hpp>
#include <knock/hints.hpp>
#include <knock/users_report.hpp>

#include <doctest/doctest.h>

#include <fmt/format.h>

#include "../harness/kn1_vectors.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

const kn1::Kn1Vectors& vectors() {
  static const kn1::Kn1Vectors read(KNOCKGATE_VECTORS);
  return read;
}

Moment at(std::string_view text) {
  return parse_rfc3339(text).value();
}

DeviceKey key_of(std::size_t index) {
  DeviceKey key;
  key.kid = vectors().devices[index].kid;
  key.secret = vectors().devices[index].secret;
  key.psk = vectors().devices[index].psk;
  return key;
}

Device invited() {
  Device device;
  device.user = "alice";
  device.name = "laptop";
  device.label = "alice/laptop";
  device.key = key_of(0);
  device.claim = at("2026-12-02T10:00:00Z");
  device.require_source = false;
  return device;
}

ServerKey server_key() {
  return {at("2026-11-25T10:00:00Z"), vectors().server, {}, {}};
}

const std::string kMain =
    "[gate]\ntrust = [\"lan0\"]\n[kn1]\nhosts = [\"router.example\"]\n"
    "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\n"
    "[door.nas]\nforward = { \"tcp/8445\" = \"192.0.2.20:445\" }\nopens = [\"udp/60000-60009\"]\n"
    "knock = [\"tcp/7143 x2\", \"pause 1s\", \"udp/12899\"]\nkn1 = true\nmax = \"1h\"\nuses = 1\n";

ParsedConfig config_with(const std::string& user, const std::string& device,
                         const std::string& main = kMain) {
  const std::vector<ConfigText> texts{
      {"k.toml", main, ConfigText::Part::main},
      {"u", user, ConfigText::Part::users},
      {"d", device, ConfigText::Part::users},
      {"kn1.key", keys_text(std::vector{server_key()}).text, ConfigText::Part::keys}};
  auto parsed = parse_config(texts);
  for (const auto& finding : parsed.findings)
    if (finding.level == Finding::Level::error) FAIL(to_string(finding));
  return parsed;
}

Config config_of_alice(const Device& device) {
  User user;
  user.name = "alice";
  user.doors = {"ssh"};
  return *config_with(user_text(user), device_text(device).text).config;
}

} // namespace

TEST_CASE("a moment as text is the same moment, and nothing else is one") {
  CHECK(rfc3339(Moment{}) == "1970-01-01T00:00:00Z");
  CHECK(parse_rfc3339("2026-12-02T10:00:00Z") == Moment{Seconds{1'796'205'600}});
  for (const char* bad :
       {"", "2026-12-02", "2026-12-02T10:00:00", "2026-13-02T10:00:00Z", "2026-02-30T10:00:00Z",
        "2026-12-02T24:00:00Z", "2026-12-02 10:00:00Z", "+026-12-02T10:00:00Z", "2026-12-02T10:00:00z"})
    CHECK_MESSAGE(!parse_rfc3339(bad), bad);
  const auto east = [](Moment moment) { return LocalMoment{moment.time_since_epoch() + 15h}; };
  CHECK(date_text(at("2026-12-02T10:00:00Z"), nullptr) == "2026-12-02");
  CHECK(date_text(at("2026-12-02T10:00:00Z"), east) == "2026-12-03");
  CHECK(minute_text(at("2026-12-02T10:00:00Z"), east) == "2026-12-03 01:00");
}

TEST_CASE("what is written is read as the same") {
  auto device = invited();
  CHECK(device_text(device).text == "[user.alice.laptop]\n"
                                    "kid    = \"dec5c86d3ca1c1b4\"\n"
                                    "secret = \"aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/g=\"\n"
                                    "claim = 2026-12-02T10:00:00Z\n"
                                    "require_source = false\n");
  device.claim.reset();
  device.key.public_key =
      vectors().devices.empty() ? kn1::Public{} : kn1::array_from_hex(vectors().keys["ALICE_PUB"]);
  device.doors = {"ssh"};
  device.enabled = false;
  device.from = at("2026-11-01T00:00:00Z");
  device.until = at("2026-12-24T18:00:00Z");
  device.sources = {*parse_prefix("192.0.2.0/24"), *parse_prefix("2001:db8::7")};
  device.counter = true;
  device.for_src = true;
  device.require_source = true;
  device.addresses = 3;
  device.ttl_max = 90s;
  device.openings = 7;
  device.old = OldKey{key_of(1), at("2027-01-01T00:00:00Z")};
  device.old->key.public_key.emplace().fill(7);
  const ConfigText text{"users.d/alice.laptop.toml", device_text(device).text, ConfigText::Part::users};
  const auto read = device_alone(text, {});
  REQUIRE(read);
  CHECK(device_text(*read).text == text.text);
  CHECK(read->key.kid == device.key.kid);
  CHECK(read->key.secret == device.key.secret);
  CHECK(read->key.public_key == device.key.public_key);
  CHECK(read->old->key.secret == device.old->key.secret);
  CHECK(read->old->until == device.old->until);
  CHECK(read->sources == device.sources);
  CHECK(read->openings == 7);
  CHECK(read->ttl_max == 90s);
  CHECK(read->counter);

  Device carol;
  carol.user = "carol";
  carol.name = "pc";
  carol.accepts = Accepts::password;
  carol.key = key_of(2);
  const auto again = device_alone({"x", device_text(carol).text, ConfigText::Part::users}, {});
  REQUIRE(again);
  CHECK(again->key.psk == carol.key.psk);
  CHECK(again->doors.empty());
}

TEST_CASE("server keys are written with their ends, and a rotation ends the former ones") {
  auto old = server_key();
  auto fresh = server_key();
  fresh.key = kn1::make_server_key(vectors().devices[1].secret, vectors().devices[2].secret);
  const auto now = at("2026-11-25T10:00:00Z");
  const auto keys = rotated(std::vector{old}, fresh, now, now + std::chrono::days{30});
  REQUIRE(keys.size() == 2);
  CHECK(keys[0].key.server.pub == fresh.key.server.pub);
  CHECK_FALSE(keys[0].until);
  CHECK(keys[1].until == at("2026-12-25T10:00:00Z"));
  const auto parsed =
      parse_config(std::vector{ConfigText{"kn1.key", keys_text(keys).text, ConfigText::Part::keys}});
  REQUIRE(parsed.config);
  REQUIRE(parsed.config->server_keys.size() == 2);
  CHECK(parsed.config->server_keys[0].key.server == fresh.key.server);
  CHECK(parsed.config->server_keys[1].key.server == old.key.server);
  CHECK(parsed.config->server_keys[1].until == keys[1].until);

  auto third = server_key();
  CHECK(rotated(keys, third, now, now).size() == 1); // no grace
  const auto later = rotated(keys, third, at("2026-12-20T00:00:00Z"), at("2027-01-20T00:00:00Z"));
  REQUIRE(later.size() == 3);
  CHECK(later[2].until == at("2026-12-25T10:00:00Z")); // no end is pushed on
  CHECK(rotated(later, third, at("2027-01-01T00:00:00Z"), at("2027-02-20T00:00:00Z")).size() == 3);
}

TEST_CASE("the line of an invite is that of the specification, and a psk's is the key itself") {
  const auto config = config_of_alice(invited());
  const auto line = line_of(config, config.users[0].devices[0], {});
  REQUIRE(line);
  CHECK(encode(*line) ==
        "KNOCKGATE:"
        "AFAQCDTSN52XIZLSFZSXQYLNOBWGKAQJOVSHALZRG4YDEMQDID2VUOAAMWJJKHN2ZKUHZIDQX7POXQFMJDOZ7DB7FL7IDR4OXRJW"
        "ZHGD"
        "7HC7BAKJNDWCTFWDKGQSX67JGQFBVE4MYHABWEWT6IX34IK3AQUN5ROINU6KDQNUNBN2HKV6B7HDGKQOZXEYDJC7LSHI6QXDBRLE"
        "ZQ27"
        "3KDP4MF3E74AMDDBNRUWGZJPNRQXA5DPOADRE43TNAQHIY3QF4ZDEIDGN5ZD2MZQOMEAQAAAAAAGWD7MEDBTFPW4");
  auto psk = invited();
  psk.accepts = Accepts::psk;
  psk.claim.reset();
  psk.counter = psk.require_source = psk.for_src = true;
  psk.until = at("2026-12-24T18:00:00Z");
  const auto shared = config_of_alice(psk);
  const auto other =
      line_of(shared, shared.users[0].devices[0], std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
  REQUIRE(other);
  CHECK(other->kind == LineKind::psk);
  CHECK(other->hosts == std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
  CHECK(other->counter);
  CHECK(other->bound);
  CHECK(other->for_src);
  CHECK_FALSE(other->claim);
  CHECK(other->until == 1'798'135'200U);
  CHECK(encode(*other));
}

TEST_CASE("a line has the doors that the device may open, as its client needs them") {
  auto device = invited();
  const auto config =
      *config_with("[user.alice]\ndoors = [\"ssh\", \"nas\", \"web\"]\n", device_text(device).text,
                   "[kn1]\nports = [\"udp/99\", \"icmp\"]\n" + kMain.substr(0, kMain.find("[kn1]")) +
                       kMain.substr(kMain.find("[door.ssh]")))
           .config;
  CHECK(line_of(config, config.users[0].devices[0], {}).error().advice.find("--host") != std::string::npos);
  const std::vector<std::string> hosts{"router.example"};
  const auto line = line_of(config, config.users[0].devices[0], hosts);
  REQUIRE(line);
  CHECK(line->ports == std::vector<std::string>{"udp/99", "icmp"});
  REQUIRE(line->doors.size() == 2);
  const auto& nas = line->doors[1];
  CHECK(nas.name == "nas");
  CHECK(nas.ports.front() == *parse_port_range("tcp/8445"));
  CHECK(nas.max == Millis{1h});
  CHECK(nas.uses);
  CHECK(nas.knock.empty()); // a device does not need it
  CHECK_FALSE(line->doors[0].max);
  CHECK(encode(*line));

  const auto knock = knock_line_of(config, config.doors[1], hosts);
  REQUIRE(knock);
  CHECK(knock->doors[0].knock == std::vector<std::string>{"tcp/7143", "tcp/7143", "pause 1s", "udp/12899"});
  CHECK_FALSE(knock->device);
  CHECK(encode(*knock));
  CHECK(knock_line_of(config, config.doors[0], hosts).error().text == "door ssh has no knock");

  const auto none = *config_with("[user.alice]\ndoors = [\"web\"]\n", device_text(device).text).config;
  CHECK(line_of(none, none.users[0].devices[0], {}).error().text ==
        "alice/laptop may open no door that takes signed packets");
}

TEST_CASE("why a door is no way in is told with what to change") {
  const auto main = kMain + "[door.off]\nopens = [\"tcp/80\"]\nkn1 = true\nenabled = false\n"
                            "[door.plain]\nopens = [\"tcp/81\"]\nknock = [\"tcp/7143\", \"udp/12899\"]\n"
                            "[door.choosy]\nopens = [\"tcp/82\"]\nkn1 = true\nusers = [\"bob\"]\n";
  User user;
  user.name = "alice";
  user.doors = {"ssh"};
  const auto config = *config_with(user_text(user), device_text(invited()).text, main).config;
  const auto told = [&](std::string_view door) {
    const auto hint = no_way(config, "alice", door);
    return hint ? hint->text + "; " + hint->advice : std::string();
  };
  CHECK(told("ssh").empty());
  CHECK(told("shs") == "there is no door shs; did you mean ssh? doors here: ssh nas off plain choosy");
  CHECK(told("moonlight") == "there is no door moonlight; doors here: ssh nas off plain choosy");
  CHECK(told("off") == "door off is off; write enabled = true in [door.off]");
  CHECK(told("plain") == "door plain takes no signed packets; write kn1 = true in [door.plain]");
  CHECK(told("choosy") == "the users of door choosy do not hold alice; add it to users in [door.choosy]");
  CHECK_FALSE(misnamed(config, std::vector<std::string>{"ssh", "plain", "off"}));
  CHECK(misnamed(config, std::vector<std::string>{"ssh", "nsa"})->text == "there is no door nsa");
}

TEST_CASE("a device that opens nothing is told why, and the file to change") {
  User user;
  user.name = "alice";
  user.doors = {"ssh"};
  auto device = invited();
  const auto now = at("2026-11-25T10:00:00Z");
  const auto told = [&](bool with_user = true) {
    const auto config = *config_with(with_user ? user_text(user) : "", device_text(device).text).config;
    const auto hint = shut_out(config, config.users[0].devices[0], now, nullptr);
    return hint ? hint->text + "; " + hint->advice : std::string();
  };
  CHECK(told().empty());
  CHECK(told(false) == "there is no user alice; sudo knockctl user add alice --door DOOR");
  device.enabled = false;
  CHECK(told() == "alice/laptop is off; take enabled = false out of d, then: sudo knockctl reload");
  user.enabled = false;
  CHECK(told() == "user alice is off; take enabled = false out of u, then: sudo knockctl reload");
  user.enabled = device.enabled = true;
  device.until = now;
  CHECK(told() == "the access of alice/laptop ended 2026-11-25 10:00; write a later until in d, then: sudo "
                  "knockctl reload");
  user.until = now;
  CHECK(told().starts_with("the access of user alice ended 2026-11-25 10:00; write a later until in u"));
  user.until = device.until = now + 1s;
  CHECK(told().empty());
}

TEST_CASE("a file says what it holds") {
  const auto holds = [](std::string text) {
    return holds_of({"f", std::move(text), ConfigText::Part::users});
  };
  CHECK(holds("[user.alice]\ndoors = [\"ssh\"]\n").users == std::vector<std::string>{"alice"});
  CHECK(holds("[user.alice.pad]\n").users.empty());
  const auto both = holds("[user.alice]\ndoors = []\n[user.alice.pad]\n[user.bob.pc]\n");
  CHECK(both.users == std::vector<std::string>{"alice"});
  CHECK(both.devices == std::vector<std::string>{"alice/pad", "bob/pc"});
  CHECK(holds("").readable);
  CHECK_FALSE(holds("[user").readable);
  CHECK_FALSE(device_alone(
      {"f", "[user.alice]\ndoors = [\"ssh\"]\n" + device_text(invited()).text, ConfigText::Part::users}, {}));

  CHECK(user_file("alice") == "alice.toml");
  CHECK(device_of_file(device_file("alice", "laptop"), "alice") == "laptop");
  for (const char* other :
       {"alice.toml", "alice..toml", "alice.a.b.toml", "bob.pc.toml", "alice.pad", "alice.pad.toml.x"})
    CHECK_MESSAGE(!device_of_file(other, "alice"), other);
  for (const char* date :
       {"2026-12-24", "2026-12-24T18:00:00", "2026-12-24 18:00:00Z", "2026-12-24T18:00:00+01:00"})
    CHECK_MESSAGE(is_date(date), date);
  for (const char* none :
       {"", "tomorrow", "2026-13-24", "18:00:00", "20261224", "2026-12-24\nenabled = true"})
    CHECK_MESSAGE(!is_date(none), none);
  const auto config = config_of_alice(invited());
  CHECK(next_device(config, "alice") == "d1");
  auto d1 = invited();
  d1.name = "d1";
  CHECK(next_device(config_of_alice(d1), "alice") == "d2");
}

TEST_CASE("the list of users is that of the specification") {
  std::vector<UserReport> users(2);
  users[0].user = "alice";
  users[0].doors = {"ssh", "nas"};
  users[1].user = "bob";
  DeviceReport laptop{.device = "alice/laptop",
                      .accepts = "kn1",
                      .kid = "00",
                      .doors = {"ssh", "nas"},
                      .state = "ok",
                      .fingerprint = "b51c 0d13 2099"};
  laptop.last_opened = at("2026-11-25T09:58:00Z");
  laptop.last_refused = LastRefused{"ahead", "198.51.100.7", at("2026-11-25T09:57:00Z"), 41'000};
  laptop.server_key = "f55a3800";
  DeviceReport pad{.device = "alice/pad", .accepts = "kn1", .doors = {"ssh"}, .state = "invited"};
  pad.claim = at("2026-11-27T12:00:00Z");
  DeviceReport pc{.device = "bob/pc", .accepts = "psk", .symmetric = true, .doors = {"ssh"}, .state = "ok"};
  pc.until = at("2026-11-28T00:00:00Z");
  pc.server_key = "0c11d9e2";
  users[0].devices = {laptop, pad};
  users[1].devices = {pc};
  const auto now = at("2026-11-25T10:00:00Z");
  CHECK(users_text(users, "", now, nullptr) ==
        "USER   DEVICE  WAY   DOORS    LAST OPENED  UNTIL       STATE\n"
        "alice  laptop  kn1   ssh nas  2 min ago    -           ok\n"
        "alice  pad     kn1   ssh      -            -           invited, 2 d left\n"
        "bob    pc      psk   ssh      -            2026-11-28  ok\n");
  CHECK(users_text(users, "bob", now, nullptr).find("alice") == std::string::npos);
  CHECK(
      user_text(users[0], now, nullptr)
          .find("alice/laptop was refused 3 min ago, from 198.51.100.7: ahead, its clock is 41 s fast: made "
                "more than 30 s from now") != std::string::npos);
  CHECK(users_text({}, "", now, nullptr) == "no user: sudo knockctl invite USER --door DOOR\n");

  auto spent = users;
  spent[1].devices[0].openings_left = 0;
  CHECK(users_text(spent, "bob", now, nullptr).find("  used up\n") != std::string::npos);
  CHECK(users_text(users, "alice", at("2026-12-01T00:00:00Z"), nullptr).find("invite ended") !=
        std::string::npos);

  auto counted = users;
  counted[0].devices[1].old_until = at("2026-12-04T10:00:00Z");
  counted[1].devices[0].openings_left = 3;
  counted[1].devices[0].until = at("2026-11-28T18:30:00Z");
  CHECK(users_text(counted, "", now, nullptr) ==
        "USER   DEVICE  WAY   DOORS    LAST OPENED  UNTIL             STATE\n"
        "alice  laptop  kn1   ssh nas  2 min ago    -                 ok\n"
        "alice  pad     kn1   ssh      -            -                 invited, 2 d left, old key until "
        "2026-12-04 10:00\n"
        "bob    pc      psk   ssh      -            2026-11-28 18:30  ok, 3 openings left\n");
  CHECK(
      user_text(counted[0], now, nullptr)
          .find(
              "alice/pad opens by the key before its rotation until 2026-12-04 10:00; none from now: delete "
              "old in users.d/alice.pad.toml, then: sudo knockctl reload\n") != std::string::npos);
  CHECK(user_text(users[1], now, nullptr).find("LAST OPENED: since knockgated started\n") !=
        std::string::npos);

  const std::vector<KeyReport> keys{{"f55a3800", at("2026-11-25T10:00:00Z"), {}},
                                    {"0c11d9e2", at("2025-11-02T00:00:00Z"), at("2026-12-25T10:00:00Z")}};
  auto two = users;
  two[0].devices[1].server_key = "f55a3800";
  CHECK(keys_text(keys, &two, nullptr) == "KEY       MADE        UNTIL       DEVICES\n"
                                          "f55a3800  2026-11-25  -           2\n"
                                          "0c11d9e2  2025-11-02  2026-12-25  1: bob/pc\n");
  CHECK(keys_text(keys, nullptr, nullptr).find("f55a3800  2026-11-25  -           -\n") != std::string::npos);
  CHECK(keys_json(keys, &two).find("\"devices\":[\"bob/pc\"],\"id\":\"0c11d9e2\"") != std::string::npos);

  std::vector<UserReport> again;
  for (const auto& line : encode(users)) CHECK(parse_users(line, again));
  CHECK(to_json(again) == to_json(users));
}

TEST_CASE("a refusal is told with its word and what it means; of an unknown word the word alone") {
  UserReport user{"bob", true, {"ssh"}, {}, {}, {}};
  auto& pc = user.devices.emplace_back();
  pc.device = "bob/pc";
  const auto shown = [&](const std::string& reason) {
    pc.last_refused = LastRefused{reason, "198.51.100.7", at("2026-11-25T09:57:00Z"), {}};
    const auto text = user_text(user, at("2026-11-25T10:00:00Z"), nullptr);
    return text.substr(text.rfind(": " + reason) + 2);
  };
  for (const char* reason :
       {"age",    "ahead",   "replay",      "floor",      "limit",     "seal",     "form",
        "door",   "user",    "dates",       "unbound",    "signature", "source",   "range",
        "family", "sources", "for_src",     "op",         "args",      "openings", "state",
        "pace",   "grants",  "door_grants", "per_source", "ranges",    "cooldown", "kernel"})
    CHECK_MESSAGE(shown(reason).size() > 20, reason);
  CHECK(shown("user").starts_with("user: it may not open that door"));
  CHECK(shown("moonlight") == "moonlight\n");
  CHECK(to_json({&user, 1}).find("\"reason\":\"moonlight\"") != std::string::npos);
}

TEST_CASE("an old key is told while it opens something") {
  auto device = invited();
  device.old = OldKey{key_of(1), at("2026-12-02T10:00:00Z")};
  device.old->key.public_key = kn1::Public{7};
  const auto until = [&](std::string_view now) {
    return report_of(config_of_alice(device), at(now))[0].devices.at(0).old_until;
  };
  CHECK(until("2026-11-25T10:00:00Z") == at("2026-12-02T10:00:00Z"));
  CHECK_FALSE(until("2026-12-02T10:00:00Z"));
  device.until = at("2026-12-01T00:00:00Z");
  CHECK(until("2026-11-25T10:00:00Z") == device.until);
  device.enabled = false;
  CHECK_FALSE(until("2026-11-25T10:00:00Z"));
}

TEST_CASE("the report says of each device what the configuration does, in lines that fit") {
  const auto config = config_of_alice(invited());
  const auto report = report_of(config, at("2026-11-25T10:00:00Z"));
  REQUIRE(report.size() == 1);
  const auto& device = report[0].devices.at(0);
  CHECK(device.device == "alice/laptop");
  CHECK(device.kid == "dec5c86d3ca1c1b4");
  CHECK(device.state == "invited");
  CHECK(device.claim == at("2026-12-02T10:00:00Z"));
  CHECK_FALSE(device.symmetric);
  for (const auto& line : encode(report)) CHECK(line.find("aFuj") == std::string::npos);

  auto many = report;
  many[0].devices.assign(1'000, device);
  std::vector<UserReport> again;
  const auto lines = encode(many);
  CHECK(lines.size() > 1);
  for (const auto& line : lines) {
    CHECK(line.size() <= kMaxReplyLine);
    CHECK(parse_users(line, again));
  }
  REQUIRE(again.size() == 1);
  CHECK(again[0].devices.size() == 1'000);
  for (const char* bad : {"", "{}", "[]", "{\"schema\":1}", "{\"schema\":1,\"users\":[{}]}",
                          "{\"schema\":1,\"users\":[{\"user\":1}]}", "{\"schema\":2,\"users\":[]}"})
    CHECK_MESSAGE(!parse_users(bad, again), bad);
}

TEST_CASE("sealed keys cross to root's knockctl without their secrets") {
  auto old = server_key();
  old.until = at("2026-12-25T10:00:00Z");
  const std::vector keys{server_key(), old};
  auto kept = keys;
  kept[0].place.file = "/run/credentials/k\xff/kn1.key"; // no UTF-8: told all the same
  CHECK(parse_keys(encode_keys(kept)));
  const auto lines = encode_keys(keys);
  for (const auto& line : lines) CHECK(line.find(base64_of(keys[0].key.secret.bytes)) == std::string::npos);
  const auto read = parse_keys(lines);
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK((*read)[0].key.server == keys[0].key.server);
  CHECK((*read)[0].key.secret == kn1::Secret{});
  CHECK_FALSE((*read)[0].until);
  CHECK((*read)[1].until == old.until);
  CHECK((*read)[1].made == old.made);
  CHECK(parse_keys({})->empty());
  for (const char* bad : {"", "{}", "[]", "{\"schema\":1,\"made\":1}"})
    CHECK_MESSAGE(!parse_keys(std::vector<std::string>{bad}), bad);
  const std::vector five(5, lines[0]);
  CHECK_FALSE(parse_keys(five));
}

TEST_CASE("a fingerprint is the first bytes of a hash of the key") {
  CHECK(fingerprint(kn1::array_from_hex(vectors().keys["ALICE_PUB"])) == "b51c 0d13 2099");
}
