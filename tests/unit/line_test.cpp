// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/line.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "../harness/kn1_vectors.hpp"
#include "core/spa/base32.hpp"
#include "core/spa/blake2b.hpp"

using namespace knock;

namespace {

const std::string kInvite =
    "KNOCKGATE:"
    "AFAQCDTSN52XIZLSFZSXQYLNOBWGKAQJOVSHALZRG4YDEMQDID2VUOAAMWJJKHN2ZKUHZIDQX7POXQFMJDOZ7DB7FL7IDR4OXRJWZHGD"
    "7HC7BAKJNDWCTFWDKGQSX67JGQFBVE4MYHABWEWT6IX34IK3AQUN5ROINU6KDQNUNBN2HKV6B7HDGKQOZXEYDJC7LSHI6QXDBRLEZQ27"
    "3KDP4MF3E74AMDDBNRUWGZJPNRQXA5DPOADRE43TNAQHIY3QF4ZDEIDGN5ZD2MZQOMEAQAAAAAAGWD7MEDBTFPW4";
const std::string kAnswer =
    "KNOCKGATE:"
    "AFF55ROINU6KDQNUY3ISTRKBEGXICXJMN2WX4P7NXSP7K5EPXT636N5MICMMHKZEQUZUSTOQOOUB5XGLD"
    "M3KKBH7ATLKK";

const kn1::Kn1Vectors& vectors() {
  static const kn1::Kn1Vectors read(KNOCKGATE_VECTORS);
  return read;
}

LineDevice alice() {
  return {vectors().devices[0].kid, vectors().devices[0].secret};
}

LineDoor ssh() {
  LineDoor door;
  door.name = "ssh";
  door.ports = {*parse_port_range("tcp/22")};
  door.open_for = Seconds{30};
  return door;
}

Line invite() {
  Line line;
  line.hosts = {"router.example"};
  line.ports = {"udp/17022"};
  line.servers = {vectors().server.server};
  line.device = alice();
  line.name = "alice/laptop";
  line.doors = {ssh()};
  line.claim = 1'796'205'600; // 2026-12-02T10:00:00Z
  return line;
}

/// A line of these fields, with its sum.
std::string line_of(char kind, const std::vector<std::pair<std::uint8_t, std::string>>& fields,
                    std::uint8_t version = 1) {
  base32::Buffer bytes;
  bytes.add(version);
  bytes.add(static_cast<std::uint8_t>(kind));
  for (const auto& [tag, value] : fields) {
    bytes.add(tag);
    bytes.add(static_cast<std::uint8_t>(value.size()));
    bytes.add(kn1::bytes_of(value));
  }
  const auto sum = kn1::Blake2b<32>().add(bytes.bytes()).digest();
  bytes.add(kn1::Bytes(sum).first(4));
  std::string text = "KNOCKGATE:";
  base32::encode(bytes.bytes(), text);
  return text;
}

using Fields = std::vector<std::pair<std::uint8_t, std::string>>;

Fields least() {
  return {{1, "router.example"},     {2, "udp/17022"},    {3, std::string(64, 's')},
          {4, std::string(40, 'k')}, {6, "alice/laptop"}, {7, "ssh tcp/22"}};
}

Fields without(std::uint8_t tag, Fields fields) {
  std::erase_if(fields, [&](const auto& one) { return one.first == tag; });
  return fields;
}

Fields with(std::uint8_t tag, std::string value, Fields fields = least()) {
  fields.emplace_back(tag, std::move(value));
  return fields;
}

Fields door(std::string text) {
  return with(7, std::move(text), without(7, least()));
}

std::string fault(const std::string& text) {
  const auto read = parse_line(text);
  if (read) return "";
  constexpr std::array names{"no_line", "damaged", "answer", "newer", "unfit"};
  return names[static_cast<std::size_t>(read.error())];
}

std::string fault(const Fields& fields, char kind = 'A') {
  return fault(line_of(kind, fields));
}

} // namespace

TEST_CASE("an invite and its answer are the text that the manual prints, and are read as the same") {
  CHECK(encode(invite()) == kInvite);
  const auto read = parse_line(kInvite);
  REQUIRE(read.has_value());
  CHECK(*read == invite());
  const auto answer = make_answer(alice(), vectors().pub("ALICE_PUB"));
  CHECK(encode(answer) == kAnswer);
  REQUIRE(parse_answer(kAnswer).has_value());
  CHECK(*parse_answer(kAnswer) == answer);
  CHECK(fits(*parse_answer(kAnswer), alice()));
  CHECK(fault(kAnswer) == "answer");
  CHECK_FALSE(parse_answer(kInvite).has_value());
}

TEST_CASE("case, blanks and ends of lines do not count") {
  std::string pasted = "\r\n  ";
  for (std::size_t i = 0; i < kInvite.size(); ++i) {
    const char c = kInvite[i];
    pasted += i % 3 == 0 && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (i % 7 == 0) pasted += " \t\r\n"[i % 4];
  }
  REQUIRE(parse_line(pasted).has_value());
  CHECK(*parse_line(pasted) == invite());
}

TEST_CASE("a line with one character changed, lost, doubled or swapped with the next is refused") {
  const std::string characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=1089:-";
  for (std::size_t i = 0; i < kInvite.size(); ++i) {
    for (const char c : characters) {
      auto changed = kInvite;
      changed[i] = c;
      if (changed != kInvite) CHECK_FALSE(parse_line(changed).has_value());
    }
    auto lost = kInvite;
    lost.erase(i, 1);
    CHECK_FALSE(parse_line(lost).has_value());
    auto doubled = kInvite;
    doubled.insert(i, 1, kInvite[i]);
    CHECK_FALSE(parse_line(doubled).has_value());
    if (i + 1 < kInvite.size() && kInvite[i] != kInvite[i + 1]) {
      auto swapped = kInvite;
      std::swap(swapped[i], swapped[i + 1]);
      CHECK_FALSE(parse_line(swapped).has_value());
    }
    CHECK_FALSE(parse_line(kInvite.substr(0, i)).has_value());
  }
  CHECK(fault(kInvite.substr(0, kInvite.size() - 8)) == "damaged");
  CHECK(fault("SSH" + kInvite) == "no_line");
  CHECK(fault("") == "no_line");
}

TEST_CASE("an answer with one character changed does not fit its device") {
  for (std::size_t i = 0; i < kAnswer.size(); ++i)
    for (const char c : std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=1089:-")) {
      auto changed = kAnswer;
      changed[i] = c;
      const auto answer = parse_answer(changed);
      if (answer && changed != kAnswer) CHECK_FALSE(fits(*answer, alice()));
    }
  CHECK_FALSE(parse_answer(kAnswer.substr(0, kAnswer.size() - 1)).has_value());
  CHECK_FALSE(parse_answer(kAnswer + "A").has_value());
  base32::Buffer longer;
  REQUIRE(base32::decode(std::string_view(kAnswer).substr(10), longer));
  longer.add(0);
  std::string text = "KNOCKGATE:";
  base32::encode(longer.bytes(), text);
  CHECK_FALSE(parse_answer(text).has_value());
  auto other = alice();
  other.secret.bytes[0] ^= 1;
  CHECK_FALSE(fits(*parse_answer(kAnswer), other));
  other = alice();
  other.kid.bytes[0] ^= 1;
  CHECK_FALSE(fits(*parse_answer(kAnswer), other));
  // its own check, but of another device
  CHECK_FALSE(fits(make_answer(other, vectors().pub("ALICE_PUB")), alice()));
}

TEST_CASE("every kind of line says all that it may, and is read as the same") {
  auto line = invite();
  line.hosts = {"router.example", "192.0.2.1", "2001:db8::1", "fe80::1%lan0"};
  line.ports = {"udp/17022", "icmp"};
  line.servers.push_back({vectors().pub("ALICE_PUB"), kn1::Secret()});
  auto more = ssh();
  more.name = "nas";
  more.ports = {*parse_port_range("tcp/445"), *parse_port_range("udp/60000-61000")};
  more.max = Seconds{3'600};
  more.cut = more.uses = more.run = true;
  more.args = 912;
  more.at = {"nas.example", "192.0.2.20"};
  more.knock = {"tcp/7143 x5", "pause 1s", "", "tcp/4021:syn+fin"};
  auto all = LineDoor{};
  all.name = "all";
  all.any = true;
  auto wake = LineDoor{};
  wake.name = "wake";
  line.doors.insert(line.doors.end(), {more, all, wake});
  line.until = 0xffff'ffff'ffff'ffff;
  line.counter = line.bound = line.for_src = true;
  // A blank, `_` and comma of a word are written as bytes: what is read is the same word, if not the same text.
  line.doors[1].knock[2] = "udp/12899:\"open\\\"\\x2c\\x20\\x5fsesame\"";
  const auto text = encode(line);
  REQUIRE(text.has_value());
  CHECK(text->size() > kQrLine);
  REQUIRE(parse_line(*text).has_value());
  CHECK(*parse_line(*text) == line);
  line.doors[1].knock[2] = "udp/12899:\"open\\\", _sesame\"";
  CHECK(encode(line) == text);

  line = invite();
  line.claim.reset();
  for (const auto kind : {LineKind::invite, LineKind::psk, LineKind::password}) {
    line.kind = kind;
    REQUIRE(encode(line).has_value());
    CHECK(*parse_line(*encode(line)) == line);
  }
  line.kind = LineKind::psk;
  line.claim = 1;
  CHECK_FALSE(encode(line).has_value());

  line = invite();
  line.kind = LineKind::rotating;
  line.ports.clear();
  line.servers.clear();
  line.device.reset();
  line.claim.reset();
  line.rotating = vectors().secret("ALICE_D");
  REQUIRE(encode(line).has_value());
  CHECK(*parse_line(*encode(line)) == line);

  line = {};
  line.kind = LineKind::knock;
  line.hosts = {"router.example"};
  line.doors = {more};
  line.doors[0].knock = {"tcp/7143", "udp/12899", "tcp/4021", "udp/33710"};
  REQUIRE(encode(line).has_value());
  CHECK(*parse_line(*encode(line)) == line);
  line.doors[0].knock.clear();
  CHECK_FALSE(encode(line).has_value());
}

TEST_CASE("the usual line fits a QR code, and the longest what a terminal hands over") {
  CHECK(encode(invite())->size() <= kQrLine);
  auto line = invite();
  line.doors.assign(10, ssh());
  for (auto& door : line.doors) door.at = {std::string(210, 'a')};
  std::size_t longest = 0;
  for (std::size_t more = 1; more < 256; ++more) {
    line.hosts = {"router.example", std::string(more, 'a')};
    if (const auto text = encode(line)) longest = text->size();
  }
  CHECK(longest == kMaxLine);
}

TEST_CASE("a line has the fields of its kind, and each as often as it may") {
  CHECK(fault(least()) == "");
  for (const std::uint8_t tag : std::array<std::uint8_t, 6>{1, 2, 3, 4, 6, 7}) {
    INFO(int{tag});
    CHECK(fault(without(tag, least())) == "unfit");
  }
  for (const std::size_t twice : {3U, 4U})
    CHECK(fault(with(least()[twice].first, least()[twice].second)) == "unfit");
  const std::string number(8, '\1');
  CHECK(fault(with(8, number)) == "");
  CHECK(fault(with(8, number, with(8, number))) == "unfit");
  CHECK(fault(with(8, number), 'P') == "unfit");
  CHECK(fault(with(9, number), 'P') == "");
  CHECK(fault(with(9, number.substr(1))) == "unfit");
  CHECK(fault(with(5, std::string(32, 'k'))) == "unfit");
  CHECK(fault(with(3, std::string(63, 's'))) == "unfit");
  CHECK(fault(with(4, std::string(41, 'k'), without(4, least()))) == "unfit");
  auto many = least();
  for (int i = 0; i < 3; ++i)
    many = with(1, "192.0.2.1", with(2, "icmp", with(3, std::string(64, 't'), many)));
  CHECK(fault(many) == "");
  for (const auto& [tag, value] : Fields(many.end() - 3, many.end()))
    CHECK(fault(with(tag, value, many)) == "unfit");
  auto doors = least();
  for (int i = 0; i < 15; ++i) doors = with(7, "nas tcp/445", doors);
  CHECK(fault(doors) == "");
  CHECK(fault(with(7, "nas tcp/445", doors)) == "unfit");
  CHECK(fault(least(), 'R') == "unfit");
  CHECK(fault(least(), 'S') == "unfit");
  const Fields rotating{
      {1, "router.example"}, {5, std::string(32, 'k')}, {6, "alice/laptop"}, {7, "ssh tcp/22"}};
  CHECK(fault(rotating, 'R') == "");
  CHECK(fault(with(5, std::string(32, 'k'), rotating), 'R') == "unfit");
  CHECK(fault(with(2, "icmp", rotating), 'R') == "unfit");
}

TEST_CASE("what is newer is told from what is damaged") {
  CHECK(fault(with(11, "")) == "newer");
  CHECK(fault(with(127, "x")) == "newer");
  CHECK(fault(with(128, "x")) == "");
  CHECK(fault(with(255, "", with(255, ""))) == "");
  CHECK(fault(line_of('X', least())) == "newer");
  CHECK(fault(line_of('A', least(), 2)) == "newer");
  CHECK(fault(with(10, "bound tomorrow")) == "newer");
  CHECK(fault(door("ssh tcp/22 tomorrow")) == "newer");
  CHECK(fault(door("ssh tcp/22 cut=1")) == "newer");
}

TEST_CASE("a field that is cut short is none") {
  for (std::size_t size = 0; size < 40; ++size) {
    base32::Buffer bytes; // all that an invite needs, and a field to skip of which the last byte is missing
    const auto whole = line_of('A', with(200, std::string(size, '~')));
    REQUIRE(fault(whole) == "");
    REQUIRE(base32::decode(std::string_view(whole).substr(10), bytes));
    const auto fields = bytes.bytes().first(bytes.bytes().size() - 4);
    std::vector<std::uint8_t> cut(fields.begin(), fields.end() - 1);
    const auto sum = kn1::Blake2b<32>().add(cut).digest();
    cut.insert(cut.end(), sum.begin(), sum.begin() + 4);
    std::string text = "KNOCKGATE:";
    base32::encode(cut, text);
    CHECK(fault(text) == "unfit");
  }
}

TEST_CASE("a name that a terminal or a command would take for something else is refused") {
  for (const auto* host : {"", "-oProxyCommand=x", "a b", "a\x1b[2J", "a;b", "a\n", "a/b", "$(a)"})
    CHECK(fault(with(1, host)) == "unfit");
  for (const auto* port : {"", "tcp/22", "udp/0", "udp/65536", "udp/017022", "icmp6", "udp/1-2"})
    CHECK(fault(with(2, port)) == "unfit");
  for (const auto* name : {"", "alice", "alice/", "/laptop", "alice/laptop/2", "Alice/laptop", "../x", "a/-"})
    CHECK(fault(with(6, name, without(6, least()))) == "unfit");
  for (const auto* words : {"", " bound", "bound ", "bound  counter", "bound bound"})
    CHECK(fault(with(10, words)) == "unfit");
  CHECK(fault(with(10, "for-src counter bound")) == "");
}

TEST_CASE("a door's text is read strictly") {
  for (const auto* text : {"",
                           "ssh",
                           "ssh ",
                           "SSH tcp/22",
                           " ssh tcp/22",
                           "ssh tcp/22 ",
                           "ssh  tcp/22",
                           "ssh tcp/22,",
                           "ssh ,tcp/22",
                           "ssh tcp/0",
                           "ssh any,tcp/22",
                           "ssh tcp/22  cut",
                           "ssh tcp/22 cut cut",
                           "ssh tcp/22 for=",
                           "ssh tcp/22 for=30",
                           "ssh tcp/22 for=0s",
                           "ssh tcp/22 for=30s for=30s",
                           "ssh tcp/22 args=1",
                           "ssh tcp/22 run args=0",
                           "ssh tcp/22 run args=913",
                           "ssh tcp/22 run args=01",
                           "ssh tcp/22 at=",
                           "ssh tcp/22 at=a,,b",
                           "ssh tcp/22 at=-a",
                           "ssh tcp/22 at=a at=b",
                           "ssh tcp/22 knock=",
                           "ssh tcp/22 knock=tcp/0",
                           "ssh tcp/22 knock=tcp/1 knock=tcp/2"}) {
    INFO(text);
    CHECK(fault(door(text)) == "unfit");
  }
  for (const auto* text :
       {"ssh -", "ssh any", "ssh tcp/22,udp/53-54 run args=912 uses cut max=1h for=30s at=a,b",
        "ssh tcp/22 knock=tcp/7143_x5,pause_1s,icmp:\"a\\x2c\\x5f\\x20b\""}) {
    INFO(text);
    CHECK(fault(door(text)) == "");
  }
}

TEST_CASE("what would not be read as the same is not written") {
  const auto written = [](auto change) {
    auto line = invite();
    change(line);
    return encode(line).has_value();
  };
  CHECK(written([](Line&) {}));
  CHECK_FALSE(written([](Line& line) { line.hosts.clear(); }));
  CHECK_FALSE(written([](Line& line) { line.hosts[0] = "a b"; }));
  CHECK_FALSE(written([](Line& line) { line.hosts[0] = std::string(256, 'a'); }));
  CHECK(written([](Line& line) { line.hosts[0] = std::string(255, 'a'); }));
  CHECK_FALSE(written([](Line& line) { line.doors[0].name = "ssh tcp/22"; }));
  CHECK_FALSE(written([](Line& line) { line.doors[0].at = {"a,b"}; }));
  CHECK_FALSE(written([](Line& line) { line.doors[0].args = 4; }));
  CHECK_FALSE(written([](Line& line) { line.doors[0].any = true; })); // and a port
  CHECK_FALSE(written([](Line& line) { line.rotating = kn1::Secret(); }));
  CHECK_FALSE(written([](Line& line) {
    line.doors.assign(16, ssh());
    for (auto& door : line.doors) door.at = {std::string(230, 'a')};
  })); // too long
}

TEST_CASE("base32 is RFC 4648's, without padding") {
  const std::array<std::pair<std::string_view, std::string_view>, 7> vectors{{{"", ""},
                                                                              {"f", "MY"},
                                                                              {"fo", "MZXQ"},
                                                                              {"foo", "MZXW6"},
                                                                              {"foob", "MZXW6YQ"},
                                                                              {"fooba", "MZXW6YTB"},
                                                                              {"foobar", "MZXW6YTBOI"}}};
  for (const auto& [plain, coded] : vectors) {
    std::string text;
    base32::encode(kn1::bytes_of(plain), text);
    CHECK(text == coded);
    base32::Buffer buffer;
    REQUIRE(base32::decode(coded, buffer));
    CHECK(std::ranges::equal(buffer.bytes(), kn1::bytes_of(plain)));
  }
  for (const std::string_view text :
       {"M", "MZX", "MZXW6Y", "MZ", "MZXW6YTBOJ", "MY======", "M1", "M0", "M8", "M@", "M["}) {
    base32::Buffer buffer;
    CHECK_FALSE(base32::decode(text, buffer));
  }
  for (unsigned c = 0; c < 256; ++c) {
    const std::string text{'A', static_cast<char>(c), 'A', 'A', 'A', 'A', 'A', 'A'};
    const bool known = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7') ||
                       std::string_view(" \t\r\n").find(static_cast<char>(c)) != std::string_view::npos;
    base32::Buffer buffer;
    CHECK(base32::decode(text, buffer) == known);
  }
}
