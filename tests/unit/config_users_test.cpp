// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/config.hpp>
#include <knock/last_good.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

using namespace knock;
using namespace std::chrono_literals;

namespace {

using Part = ConfigText::Part;

const std::string kGate = "[gate]\ntrust = [\"lan0\"]\n";
const std::string kDoors = kGate + "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\n"
                                   "[door.nas]\nopens = [\"tcp/445\"]\nkn1 = true\n";
const std::string kUser = "[user.alice]\ndoors = [\"ssh\", \"nas\"]\n";
const std::string kKey =
    "kid = \"dec5c86d3ca1c1b4\"\nsecret = \"aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/g=\"\n";
const std::string kPublic = "public = \"xtEpxUEhroFdLG6tfj/tvJ/1dI+8/b83rECYw6skhTM=\"\n";
const std::string kLaptop = "[user.alice.laptop]\n" + kKey + kPublic;
const std::string kServer = "[[key]]\nmade = 2026-11-25T10:00:00Z\n"
                            "private = \"GadIy/H0hRLebEnJg/q4dd0JYc75+cu+Ge2M+UBqpss=\"\n"
                            "hide = \"nMP5xfCBSWjsKZbDUaEr++k0ChqTjMHAGxLT8i++IVs=\"\n";
constexpr auto kPc = "[user.bob.pc]\naccepts = \"psk\"\nkid = \"0102030405060708\"\n"
                     "secret = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";

struct Files {
  std::string main = kDoors;
  std::vector<std::string> users{kUser, kLaptop};
  std::string keys = kServer;
};

ParsedConfig parse(const Files& files, std::optional<Moment> now = {},
                   Moment (*of_local)(LocalMoment) = nullptr) {
  std::vector<ConfigText> texts{{"k.toml", files.main, Part::main}};
  for (const auto& text : files.users)
    texts.push_back({fmt::format("users.d/{}.toml", texts.size()), text, Part::users});
  if (!files.keys.empty()) texts.push_back({"kn1.key", files.keys, Part::keys});
  return parse_config(texts, {{}, now, of_local});
}

std::string all(const ParsedConfig& parsed) {
  std::string text;
  for (const auto& finding : parsed.findings) text += to_string(finding) + "\n";
  return text;
}

/// Of a device of alice with these lines more.
std::string with(std::string lines) {
  return all(parse({kDoors, {kUser, kLaptop + lines}, kServer}));
}

Moment moment(std::int64_t seconds) {
  return Moment{Seconds{seconds}};
}

std::size_t count(const ParsedConfig& parsed, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(parsed.findings.begin(), parsed.findings.end(),
                                                [&](const Finding& one) { return one.name == name; }));
}

} // namespace

TEST_CASE("a device has every default filled in, and a user's devices may stand in files of their own") {
  const auto parsed = parse({});
  CAPTURE(all(parsed));
  REQUIRE(parsed.config);
  CHECK(parsed.findings.empty());
  REQUIRE(parsed.config->users.size() == 1);
  const auto& user = parsed.config->users[0];
  CHECK(user.name == "alice");
  CHECK(user.place.file == "users.d/1.toml");
  REQUIRE(user.devices.size() == 1);
  const auto& device = user.devices[0];
  CHECK(device.label == "alice/laptop");
  CHECK(device.user == "alice");
  CHECK(device.place.file == "users.d/2.toml");
  CHECK(device.accepts == Accepts::kn1);
  CHECK(device.key.kid == kn1::Kid{0xde, 0xc5, 0xc8, 0x6d, 0x3c, 0xa1, 0xc1, 0xb4});
  CHECK(device.key.secret.bytes[0] == 0x68);
  CHECK(device.key.psk == device.key.secret);
  REQUIRE(device.key.public_key);
  CHECK((*device.key.public_key)[31] == 0x33);
  CHECK(device.doors == std::vector<std::string>{"ssh", "nas"});
  CHECK(device.require_source);
  CHECK_FALSE(device.for_src);
  CHECK_FALSE(device.counter);
  CHECK(device.addresses == 8);
  CHECK(device.ttl_max == 5min);
  CHECK(device.openings == 0);
  CHECK_FALSE(device.until);
  CHECK(find_device(*parsed.config, "alice/laptop") == &device);
  CHECK(find_device(*parsed.config, "alice/pad") == nullptr);
  CHECK(find_device(*parsed.config, "alice") == nullptr);
  CHECK(find_user(*parsed.config, "bob") == nullptr);
}

TEST_CASE("[kn1] has defaults, and says where signed packets come to") {
  const Config usual;
  CHECK(usual.kn1.ports == std::vector{Port{Protocol::udp, 17'022}});
  CHECK_FALSE(usual.kn1.icmp);
  const auto parsed = parse(
      {"[kn1]\nports = [\"icmp\", \"udp/999\", \"udp/99\"]\nhosts = [\"router.example\", \"2001:db8::1\"]\n"
       "clock = \"trust\"\nkey = \"/etc/elsewhere\"\n",
       {},
       ""});
  REQUIRE(parsed.config);
  CHECK(parsed.config->kn1.ports == std::vector{Port{Protocol::udp, 99}, Port{Protocol::udp, 999}});
  CHECK(parsed.config->kn1.icmp);
  CHECK(parsed.config->kn1.hosts.size() == 2);
  CHECK(parsed.config->kn1.trust_clock);
  CHECK(parsed.key == "/etc/elsewhere");
  for (const char* bad :
       {"ports = [\"tcp/22\"]", "ports = []", "ports = [\"udp/1-9\"]", "ports = [\"icmp6\"]",
        "hosts = [\"-oProxy\"]", "hosts = [\"a b\"]", "clock = \"good\"", "key = \"kn1.key\""})
    CHECK_MESSAGE(!parse({fmt::format("[kn1]\n{}\n", bad), {}, ""}).config, bad);
}

TEST_CASE("a date begins at midnight of this host, one with an offset is the same everywhere") {
  const auto hour_east = [](LocalMoment local) { return Moment{local.time_since_epoch() - 1h}; };
  const auto until = [&](const std::string& text) {
    const auto parsed = parse({kDoors, {kUser, kLaptop + "until = " + text + "\n"}, kServer}, {}, hour_east);
    CAPTURE(all(parsed));
    REQUIRE(parsed.config);
    return parsed.config->users[0].devices[0].until;
  };
  CHECK(until("2026-12-24") == moment(1'798'070'400 - 3'600));
  CHECK(until("2026-12-24T18:00:00") == moment(1'798'070'400 + 17 * 3'600));
  CHECK(until("2026-12-24T18:00:00Z") == moment(1'798'070'400 + 18 * 3'600));
  CHECK(until("2026-12-24T18:00:00+02:00") == moment(1'798'070'400 + 16 * 3'600));
  CHECK(with("until = \"2026-12-24\"\n").find("until must be a date, not a string; write 2026-12-24 or") !=
        std::string::npos);
  CHECK(with("until = 1999-12-31\n").find("until = 1999-12-31 is out of limits") != std::string::npos);
  CHECK(with("until = 2200-01-01\n").find("out of limits") != std::string::npos);
  CHECK(with("until = 07:32:00\n").find("must be a date, not a time") != std::string::npos);
}

TEST_CASE("what user and device both say holds") {
  const auto parsed = parse(
      {kDoors,
       {"[user.alice]\ndoors = [\"ssh\", \"nas\"]\nfrom = 2026-01-01\nuntil = 2026-12-01\nsources = "
        "[\"192.0.2.0/24\"]\n",
        kLaptop + "doors = [\"nas\"]\nfrom = 2026-02-01\nuntil = 2027-01-01\nsources = [\"192.0.2.7\"]\n"},
       kServer});
  CAPTURE(all(parsed));
  REQUIRE(parsed.config);
  const auto& device = parsed.config->users[0].devices[0];
  CHECK(device.doors == std::vector<std::string>{"nas"});
  CHECK(device.from == moment(1'769'904'000));  // the later
  CHECK(device.until == moment(1'796'083'200)); // the earlier
  CHECK(device.sources == std::vector{*parse_prefix("192.0.2.7")});
  CHECK(device.user_sources == std::vector{*parse_prefix("192.0.2.0/24")});
  CHECK(may_open(*parsed.config, device, "nas"));
  CHECK_FALSE(may_open(*parsed.config, device, "ssh"));
  CHECK_FALSE(may_open(*parsed.config, device, "web"));

  const auto off = parse({kDoors, {kUser + "enabled = false\n", kLaptop}, kServer});
  REQUIRE(off.config);
  CHECK_FALSE(off.config->users[0].devices[0].enabled);
  CHECK_FALSE(may_open(*off.config, off.config->users[0].devices[0], "ssh"));
}

TEST_CASE("what a device lacks is told by its dates and keys") {
  Device device;
  CHECK(lack_of(device, moment(10)) == Lack::invited);
  device.key.public_key.emplace();
  CHECK(lack_of(device, moment(10)) == Lack::nothing);
  device.from = moment(11);
  device.until = moment(20);
  CHECK(lack_of(device, moment(10)) == Lack::not_yet);
  CHECK(lack_of(device, moment(11)) == Lack::nothing);
  CHECK(lack_of(device, moment(20)) == Lack::ended);
  device.enabled = false;
  CHECK(lack_of(device, moment(20)) == Lack::off);
}

TEST_CASE("a device has the keys of its way in, all of them and no other's") {
  CHECK(with("psk = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n")
            .find("psk does not go with accepts = \"kn1\"") != std::string::npos);
  CHECK(with("claim = 2026-12-02\n").find("claim does not go with public: alice/laptop has its key") !=
        std::string::npos);
  const auto bob = [](const std::string& lines) {
    return all(parse({kDoors, {"[user.bob]\ndoors = [\"ssh\"]\n", "[user.bob.pc]\n" + lines}, kServer}));
  };
  CHECK(bob("kid = \"0102030405060708\"\n").find("bob/pc has no secret, which accepts = \"kn1\" needs") !=
        std::string::npos);
  CHECK(
      bob(kKey + "accepts = \"password\"\n").find("bob/pc has no psk, which accepts = \"password\" needs") !=
      std::string::npos);
  CHECK(bob(kKey + kPublic + "accepts = \"psk\"\n").find("public does not go with accepts = \"psk\"") !=
        std::string::npos);
  CHECK(bob(kKey + "accepts = \"psk\"\nclaim = 2026-12-02\n").find("claim does not go with") !=
        std::string::npos);
  CHECK(bob(kKey + "accepts = \"rotating\"\n").find("accepts = \"rotating\" is not in this version") !=
        std::string::npos);
  CHECK(bob(kKey + "list = \"/etc/knockgate/lists/bob.pc\"\n").find("list is not in this version") !=
        std::string::npos);
  const auto invited = parse({kDoors, {kUser, "[user.alice.laptop]\nclaim = 2026-12-02\n" + kKey}, kServer});
  REQUIRE(invited.config);
  CHECK_FALSE(invited.config->users[0].devices[0].key.public_key);
  const auto password = parse(
      {kDoors,
       {"[user.bob]\ndoors = [\"ssh\"]\n", "[user.bob.pc]\naccepts = \"password\"\n" + kKey +
                                               "psk = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n"},
       kServer});
  REQUIRE(password.config);
  CHECK(password.config->users[0].devices[0].key.psk.bytes[1] == 1);
}

TEST_CASE("keys are canonical base64 of 32 bytes, a kid is 16 hex digits; no finding shows a secret") {
  const auto device = [](const std::string& key, const std::string& value) {
    auto text = kLaptop;
    const auto from = text.find(key + " = \"") + key.size() + 4;
    text.replace(from, text.find('"', from) - from, value);
    return all(parse({kDoors, {kUser, text}, kServer}));
  };
  for (const char* bad :
       {"", "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/g", "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/h=",
        "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/g= ", "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG_jC7J_g=",
        "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7Jw==", "aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/gAAAAA"}) {
    const auto findings = device("secret", bad);
    CAPTURE(bad);
    CHECK(findings.find("secret is not base64 of 32 bytes") != std::string::npos);
    CHECK(findings.find("aFuj") == std::string::npos);
  }
  for (const char* bad :
       {"", "dec5c86d3ca1c1b", "DEC5C86D3CA1C1B4", "dec5c86d3ca1c1b4aa", "dec5c86d3ca1c1bg"})
    CHECK_MESSAGE(device("kid", bad).find("is no kid") != std::string::npos, bad);
}

TEST_CASE("no two devices have a kid, secret or public key in common, not even a former one") {
  const auto second = [](const std::string& lines) {
    return all(parse({kDoors, {kUser, kLaptop, "[user.alice.pad]\n" + lines}, kServer}));
  };
  const std::string kid = "kid = \"0102030405060708\"\n";
  const std::string secret = "secret = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";
  CHECK(second(kid + secret).empty());
  CHECK(second("kid = \"dec5c86d3ca1c1b4\"\n" + secret)
            .find("kid of alice/pad is that of alice/laptop, too (users.d/2.toml:1:13)") !=
        std::string::npos);
  CHECK(second(kid + kKey.substr(kKey.find("secret"))).find("secret of alice/pad is that of alice/laptop") !=
        std::string::npos);
  CHECK(second(kid + secret + kPublic).find("public of alice/pad is that of alice/laptop") !=
        std::string::npos);
  const auto old = [](const std::string& of_kid) {
    return "old = { kid = \"" + of_kid +
           "\", secret = \"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\", "
           "public = \"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\", until = 2027-01-01 }\n";
  };
  CHECK(second(kid + secret + old("1112131415161718")).empty());
  CHECK(second(kid + secret + old("dec5c86d3ca1c1b4")).find("kid of alice/pad is that of alice/laptop") !=
        std::string::npos);
  CHECK(second(kid + secret + old("0102030405060708")).find("kid of alice/pad is that of alice/pad") !=
        std::string::npos);
  CHECK(with("old = { kid = \"1112131415161718\", until = 2027-01-01 }\n")
            .find("old of alice/laptop has no secret") != std::string::npos);
  CHECK(
      with(
          "old = { kid = \"1112131415161718\", secret = \"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\" }\n")
          .find("old of alice/laptop has no public") != std::string::npos);
}

TEST_CASE("names stand once over all files, and a device without its user opens nothing") {
  CHECK(all(parse({kDoors, {kUser, kUser}, kServer}))
            .find("user alice stands twice, first at users.d/1.toml:1:7") != std::string::npos);
  CHECK(all(parse({kDoors, {kUser, kLaptop, kLaptop}, kServer}))
            .find("device alice/laptop stands twice, first at users.d/2.toml:1:13") != std::string::npos);
  const auto orphan = parse({kDoors, {kLaptop + "doors = [\"ssh\"]\n"}, kServer});
  REQUIRE(orphan.config); // who removes the file of a user takes its devices out, too
  CHECK(all(orphan).find("there is no user alice: alice/laptop may open no door [no-door]") !=
        std::string::npos);
  CHECK_FALSE(orphan.config->users[0].devices[0].enabled);
  CHECK_FALSE(may_open(*orphan.config, orphan.config->users[0].devices[0], "ssh"));
  CHECK(all(parse({kDoors, {"[user.alice]\n"}, kServer})).find("user alice has no doors") !=
        std::string::npos);
  CHECK(all(parse({kDoors, {"[user.Alice]\ndoors = [\"ssh\"]\n"}, kServer})).find("no name of a user") !=
        std::string::npos);
  CHECK(all(parse({kDoors, {kUser + "[user.alice.Pad]\n"}, kServer})).find("no name of a device") !=
        std::string::npos);
  CHECK(all(parse({kDoors + kUser, {}, kServer})).find("users stand in users.d") != std::string::npos);
  CHECK(all(parse({kDoors, {kGate}, kServer})).find("users.d, which holds users alone") != std::string::npos);
  CHECK(with("colour = \"red\"\n").find("unknown key \"colour\" in device alice/laptop") !=
        std::string::npos);
}

TEST_CASE("a device names doors of its user alone, and a door that says who may open it has them") {
  CHECK(with("doors = [\"ssh\", \"web\"]\n")
            .find("users.d/2.toml:5:17: error: alice/laptop names door web, and alice "
                  "(users.d/1.toml:1:7) does not") != std::string::npos);
  const auto of_ssh = [](const std::string& users) {
    return parse({kGate + "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\nusers = " + users + "\n",
                  {"[user.alice]\ndoors = [\"ssh\"]\n", kLaptop},
                  kServer});
  };
  CHECK(of_ssh("[\"alice\"]").config);
  CHECK(all(of_ssh("[\"bob\"]"))
            .find("users.d/1.toml:2:10: error: user alice names door ssh, whose users (k.toml:3:7) do not "
                  "hold alice") != std::string::npos);
  CHECK_FALSE(of_ssh("[]").config);
  const auto more = of_ssh("[\"alice\", \"bob\"]");
  REQUIRE(more.config);
  CHECK(all(more).find("there is no user bob") != std::string::npos);
}

TEST_CASE("kn1.key holds one to four keys, each but the first with its end, and the public one is derived") {
  const auto parsed = parse({});
  REQUIRE(parsed.config);
  REQUIRE(parsed.config->server_keys.size() == 1);
  const auto& key = parsed.config->server_keys[0];
  CHECK(key.made == moment(1'795'600'800));
  CHECK(key_name(key.key.server.pub) == "f55a3800");
  CHECK(key.key.server.hide.bytes[0] == 0x9c);
  const std::string other =
      "[[key]]\nmade = 2025-11-02\nprivate = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n"
      "hide = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";
  CHECK(parse({kDoors, {kUser, kLaptop}, kServer + other + "until = 2026-12-25\n"})
            .config->server_keys.size() == 2);
  const auto bad = [&](const std::string& text) { return all(parse({kDoors, {kUser, kLaptop}, text})); };
  CHECK(bad(kServer + other).find("a former key without until") != std::string::npos);
  CHECK(bad(kServer + "until = 2026-12-25\n").find("the first key has an until") != std::string::npos);
  CHECK(bad(kServer + kServer + "until = 2026-12-25\n").find("a key stands twice, first at kn1.key:1:1") !=
        std::string::npos);
  CHECK(bad("# nothing\n").find("kn1.key: error: holds no [[key]]") != std::string::npos);
  CHECK(bad("[[key]]\nmade = 2025-11-02\n").find("a key without private") != std::string::npos);
  CHECK(bad("key = 1\n").find("key is not an array") != std::string::npos);
  CHECK(bad(kServer + "[door.ssh]\n").find("unknown table") != std::string::npos);
  std::string five = kServer;
  for (int i = 0; i < 4; ++i) five += other + "until = 2026-12-25\n";
  CHECK(bad(five).find("array of 1 to 4") != std::string::npos);
}

TEST_CASE("where signed packets come to is no port and no step of a door") {
  const auto clash = [](const std::string& main) { return all(parse({main, {kUser, kLaptop}, kServer})); };
  CHECK(clash(kDoors + "[door.web]\nopens = [\"udp/17022\"]\nknock = [\"tcp/1\"]\n")
            .find("k.toml:5:7: error: signed packets come to udp/17022, which is a port of door web "
                  "(k.toml:9:7)") != std::string::npos);
  CHECK(clash(kDoors + "[door.web]\nopens = [\"udp/17000-17400\"]\nknock = [\"tcp/1\"]\n")
            .find("a port of door web") != std::string::npos);
  CHECK(clash(kDoors + "[door.web]\nopens = [\"tcp/443\"]\nknock = [\"udp/17022\"]\n")
            .find("a step of door web") != std::string::npos);
  CHECK(clash(kDoors + "[door.web]\nopens = [\"tcp/443\"]\nknock = [\"icmp\"]\n").find("signed packets") ==
        std::string::npos);
  CHECK(clash("[kn1]\nports = [\"icmp\"]\n" + kDoors +
              "[door.web]\nopens = [\"tcp/443\"]\nknock = [\"icmp6\"]\n")
            .find("k.toml:2:1: error: signed packets come to icmp, which is a step of door web") !=
        std::string::npos);
  // No door takes any: it may be what it is.
  CHECK(parse({"[door.web]\nopens = [\"udp/17022\"]\nknock = [\"tcp/1\"]\n", {}, ""}).config);
}

TEST_CASE("a door that takes signed packets needs no knock") {
  const auto parsed = parse({});
  CHECK(count(parsed, finding::kNoKnock) == 0);
  CHECK(takes_kn1(*parsed.config));
  CHECK(parsed.config->doors[0].wire == kn1::WireId{0xfa8a1486ce25e55e});
  const auto error = [](const std::string& lines) {
    return all(parse({"[door.wake]\nopens = [\"tcp/9\"]\n" + lines, {}, ""}));
  };
  CHECK(error("args = 16\nrun = [\"/bin/true\"]\n").find("args needs kn1 = true") != std::string::npos);
  CHECK(error("args = 16\nkn1 = true\n").find("args needs run") != std::string::npos);
  CHECK(error("args = 913\nkn1 = true\nrun = [\"/bin/true\"]\n").find("args = 913 is out of limits") !=
        std::string::npos);
  CHECK(error("users = [\"alice\"]\n").find("users needs kn1 = true") != std::string::npos);
  CHECK(error("device_knock = true\n").find("device_knock = true is not in this version") !=
        std::string::npos);
  CHECK(parse({"[door.wake]\nopens = [\"tcp/9\"]\nkn1 = false\ndevice_knock = false\n", {}, ""}).config);
  CHECK(error("knock = ['icmp:\"Passw0rd\"']\n").find("a signed packet opens once") != std::string::npos);
}

TEST_CASE("warnings say who may do more than meant, and what ended") {
  const std::string main =
      kGate +
      "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\n"
      "[door.wake]\nrun = [\"/bin/true\"]\nkn1 = true\n[door.nas]\nopens = [\"tcp/445\"]\nkn1 = true\n";
  const auto parsed =
      parse({main,
             {"[user.alice]\ndoors = [\"ssh\", \"web\", \"nos\"]\nuntil = 2026-11-01\n",
              kLaptop + "until = 2026-10-01\n",
              "[user.alice.pad]\nkid = \"1112131415161718\"\nsecret = "
              "\"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\"\nclaim = 2026-11-02\n",
              "[user.bob]\ndoors = [\"wake\"]\n", std::string(kPc) + "require_source = false\n"},
             ""},
            moment(1'795'600'800));
  const auto text = all(parsed);
  CAPTURE(text);
  REQUIRE(parsed.config);
  for (const char* line :
       {"users.d/1.toml:2:17: warning: there is no door web [no-door]; add the door, or remove the name",
        "there is no door nos [no-door]; did you mean nas?",
        "users.d/1.toml:3:9: warning: the access of user alice ended: until = 2026-11-01 [access-ended]",
        "the access of alice/laptop ended: until = 2026-10-01 [access-ended]; knockctl device remove "
        "alice/laptop",
        "the invite of alice/pad ended: claim = 2026-11-02 [invite-ended]; knockctl device rotate alice/pad",
        "who reads this file can knock as bob/pc [symmetric]",
        "bob/pc takes packets from any address: who sees one and is faster gets in [unbound]",
        "door wake runs a command [run-unbound]; write require_source = true for bob/pc",
        "no device may open door ssh [no-device]", "no device may open door nas [no-device]",
        "there is no kn1.key, by which devices were invited: they open nothing [no-server-key]; put it back"})
    CHECK_MESSAGE(text.find(line) != std::string::npos, line);
  CHECK(text.find("open door wake") == std::string::npos);

  const auto accepted =
      parse({main + "[check]\naccept = [\"unbound\", \"no-server-key\"]\n",
             {"[user.bob]\ndoors = [\"wake\"]\n", std::string(kPc) + "require_source = false\n"},
             ""});
  CHECK(count(accepted, finding::kUnbound) == 0);
  CHECK(count(accepted, finding::kNoServerKey) == 0);
  CHECK(count(accepted, finding::kRunUnbound) == 1);
}

TEST_CASE("devices that take packets from any address are told once, however many there are") {
  const auto more = [](int i) {
    return fmt::format("[user.alice.d{0}]\nkid = \"11121314151617{0}8\"\nsecret = "
                       "\"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj{0}=\"\nrequire_source = false\n",
                       i);
  };
  const auto one = parse({kDoors, {kUser, kLaptop + "require_source = false\n"}, kServer});
  CHECK(all(one).find("alice/laptop takes packets from any address") != std::string::npos);
  const auto parsed =
      parse({kDoors, {kUser, kLaptop + "require_source = false\n", more(4), more(8)}, kServer});
  CAPTURE(all(parsed));
  CHECK(count(parsed, finding::kUnbound) == 1);
  CHECK(all(parsed).find(
            "users.d/2.toml:5:18: warning: alice/laptop and 2 more devices take packets from any address") !=
        std::string::npos);
}

TEST_CASE("without a key of this router it is told how one is made, or that one was lost") {
  CHECK(all(parse({kDoors, {kUser}, ""}))
            .find("there is no kn1.key [no-server-key]; sudo knockctl invite makes it") != std::string::npos);
  CHECK(all(parse({kDoors, {kUser, kLaptop}, ""}))
            .find("there is no kn1.key, by which devices were invited: they open nothing") !=
        std::string::npos);
}

TEST_CASE("the key of this router lies beside the configuration, unless that names another place") {
  const auto key = [](const std::string& file, const std::string& more) {
    const std::vector<ConfigText> texts{{file, kDoors + more, Part::main}};
    return parse_config(texts).key;
  };
  CHECK(key("/etc/knockgate/knockgate.toml", "") == Config{}.kn1.key);
  CHECK(key("/srv/trial/k.toml", "") == "/srv/trial/kn1.key");
  CHECK(key("k.toml", "") == "kn1.key");
  CHECK(key("/srv/trial/k.toml", "[kn1]\nkey = \"/srv/keys/a.key\"\n") == "/srv/keys/a.key");
}

TEST_CASE("a door without a way in, and a device that is off, are no way to open") {
  const auto parsed = parse({kGate + "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\n[door.nas]\nopens = "
                                     "[\"tcp/445\"]\nknock = [\"tcp/1\"]\n",
                             {kUser, kLaptop + "enabled = false\n"},
                             kServer});
  REQUIRE(parsed.config);
  CHECK(all(parsed).find("door nas takes no signed packets [no-door]; write kn1 = true in [door.nas]") !=
        std::string::npos);
  CHECK(count(parsed, finding::kNoDevice) == 1);
  CHECK_FALSE(may_open(*parsed.config, parsed.config->users[0].devices[0], "nas"));
}

TEST_CASE("a file of users is checked alone") {
  for (const auto& text : {kUser, kLaptop, kLaptop + "doors = [\"web\"]\n"}) {
    const auto parsed = parse_config(std::vector{ConfigText{"alice.toml", text, Part::users}});
    CAPTURE(all(parsed));
    CHECK(parsed.config);
    CHECK(parsed.findings.empty());
  }
  CHECK_FALSE(parse_config(std::vector{ConfigText{"alice.toml", kLaptop + "kid = 1\n", Part::users}}).config);
  CHECK(parse_config(std::vector{ConfigText{"kn1.key", kServer, Part::keys}}).config);
}

TEST_CASE("what is guarded does not depend on users and keys: they have a hash of their own") {
  const auto one = parse({}).config.value();
  const auto other = parse({kDoors, {kUser}, ""}).config.value();
  const auto third = parse({kDoors + "# more\n"}).config.value();
  CHECK(one.hash == other.hash);
  CHECK(one.users_hash != other.users_hash);
  CHECK(one.hash != third.hash);
  CHECK(one.users_hash == third.users_hash);
}

TEST_CASE("files of users and keys are secret, and a key is not kept with the last good configuration") {
  const auto parsed = parse({});
  CHECK(parsed.secret_files == std::vector<std::string>{"users.d/1.toml", "users.d/2.toml", "kn1.key"});
  const auto kept = parse_last_good(encode_last_good({"boot", parsed.texts}));
  REQUIRE(kept);
  CHECK(kept->texts.size() == parsed.texts.size() - 1);
  for (const auto& text : kept->texts) CHECK(text.part != Part::keys);
}

TEST_CASE("of two files with one device or key the one that was applied counts, however they are named") {
  const auto text = [](std::string file, std::string of, Part part) {
    return ConfigText{std::move(file), std::move(of), part};
  };
  const auto old_key = std::string(kPc).replace(std::string_view(kPc).find("0102"), 4, "0a02");
  const std::vector applied{text("k.toml", kDoors, Part::main),
                            text("users.d/bob.toml", "[user.bob]\ndoors = [\"ssh\"]\n", Part::users),
                            text("users.d/bob.pc.toml", kPc, Part::users)};
  for (const auto* name : {"users.d/bob.pc-old.toml", "users.d/zz.toml"}) {
    ParsedConfig disk;
    disk.texts = applied;
    disk.texts.insert(disk.texts.begin() + (name[8] == 'b' ? 1 : 3), text(name, old_key, Part::users));
    const auto parsed = parse_users_anew(applied, disk);
    REQUIRE(parsed.config);
    REQUIRE(parsed.config->users.size() == 1);
    REQUIRE(parsed.config->users[0].devices.size() == 1);
    CHECK(parsed.config->users[0].devices[0].key.kid.bytes[0] == 1);
    CHECK(all(parsed).find(std::string(name) + ":") != std::string::npos);
  }
}

TEST_CASE("ten thousand users with a device each are read, one more is told") {
  std::vector<std::string> users;
  const auto add = [&](std::size_t i) {
    users.push_back(fmt::format(
        "[user.u{0}]\ndoors = [\"ssh\"]\n[user.u{0}.d1]\nkid = \"{0:016x}\"\nsecret = \"{0:042}A=\"\n", i));
  };
  for (std::size_t i = 10'000; i < 20'000; ++i) add(i);
  const auto parsed = parse({kDoors, users, kServer});
  REQUIRE(parsed.config);
  CHECK(parsed.config->users.size() == 10'000);
  add(20'000);
  CHECK(
      all(parse({kDoors, users, kServer})).find("10001 users, 10001 devices; write at most 10000 of each") !=
      std::string::npos);
}
