// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/command_line.hpp>
#include <knock/control.hpp>
#include <knock/nearest.hpp>
#include <knock/verb_parts.hpp>
#include <knock/verbs.hpp>

#include <doctest/doctest.h>

#include <array>

#include <fmt/format.h>

using namespace knock;

TEST_CASE("a request survives the way there, whatever its values hold") {
  const Request request{"open", {{"door", "ssh"}, {"source", "2001:db8::1"}, {"for", "a b=c%\n\x01"}}};
  const auto text = encode(request);
  CHECK(text == "1 open door=ssh for=a%20b%3Dc%25%0A%01 source=2001:db8::1");
  const auto parsed = parse_request(text);
  REQUIRE(parsed.request);
  CHECK(parsed.request->verb == "open");
  CHECK(parsed.request->values == request.values);
}

TEST_CASE("what is no request is refused") {
  for (const char* text : {"", "1", "1 ", "1 OPEN", "1 open door", "1 open =x", "1 open a=%4", "1 open a=%zz",
                           "1 open a=1 a=2", "\xff open", "1 open  a=1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_request(text).request);
  }
  CHECK_FALSE(parse_request("1 open a=" + std::string(kMaxRequest, 'x')).request);
}

TEST_CASE("another version is named, not guessed at") {
  const auto parsed = parse_request("2 status");
  CHECK_FALSE(parsed.request);
  CHECK(parsed.version == "2");
}

TEST_CASE("a reply of many lines comes in datagrams that fit, and arrives whole") {
  Reply reply;
  for (int i = 0; i < 5'000; ++i) reply.lines.push_back(text_line(std::string(100, 'x') + std::to_string(i)));
  reply.failure = {ExitCode::bad_config, "bad-config", {"a.toml", 3, 1}, "wrong \"thing\"", "do better"};
  const auto datagrams = encode(reply);
  CHECK(datagrams.size() > 5);
  Reply back;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    CHECK(datagrams[i].size() <= kMaxReplyDatagram);
    CHECK(parse_reply(datagrams[i], back) == (i + 1 == datagrams.size()));
  }
  CHECK(back.lines == reply.lines);
  CHECK(back.failure.exit == ExitCode::bad_config);
  CHECK(to_string(back.failure) == "a.toml:3:1: error: wrong \"thing\"; do better");
}

TEST_CASE("what root asks before it saves survives the way there, however many ports") {
  SaveFacts facts{"0a1b", true, {}};
  for (std::uint16_t port = 1; port < 20'000; ++port) facts.unconfirmed.push_back({Protocol::udp, port});
  const auto lines = encode(facts);
  for (const auto& line : lines) CHECK(line.size() <= kMaxReplyLine);
  const auto back = parse_save_facts(lines);
  REQUIRE(back);
  CHECK(back->config == "0a1b");
  CHECK(back->off);
  CHECK(back->unconfirmed == facts.unconfirmed);
  CHECK(parse_save_facts(encode(SaveFacts{"x", false, {}}))->unconfirmed.empty());
}

TEST_CASE("root takes values of the daemon, never a path or a text") {
  for (const char* line :
       {R"({"path":"/etc/shadow"})", R"({"part":"table inet x {}"})",
        R"({"config":1,"off":false,"unconfirmed":[]})", R"({"config":"x","off":"no","unconfirmed":[]})",
        R"({"config":"x","unconfirmed":[]})", R"({"config":"x","off":false})",
        R"({"config":"x","off":false,"unconfirmed":["tcp/22 }; flush ruleset"]})",
        R"({"config":"x","off":false,"unconfirmed":["tcp/0"]})",
        R"({"config":"x","off":false,"unconfirmed":[22]})", R"({"unconfirmed":[]})", "[]", ""}) {
    CAPTURE(line);
    CHECK_FALSE(parse_save_facts({line}));
  }
  CHECK_FALSE(parse_save_facts({}));
}

TEST_CASE("nothing that a terminal obeys comes out of a reply") {
  CHECK(printable("a\x1b[2J\x7f\r\x01z\n\tb") == "a\\x1b[2J\\x7f\\x0d\\x01z\n\tb");
  CHECK(printable("\xc2\x9b"
                  "31m \xc3\xa4\xc2") == "\\xc2\\x9b"
                                         "31m \xc3\xa4\xc2");
  CHECK(text_of(R"({"text":"\u001b]0;x\u0007"})") == "\\x1b]0;x\\x07");
  Reply reply;
  CHECK(parse_reply(R"({"end":true,"exit":1,"error":{"text":"a\u001bc","advice":"\u009b","file":"\u001b"}})"
                    "\n",
                    reply) == true);
  CHECK(to_string(reply.failure) == "a\\x1bc; \\xc2\\x9b");
  CHECK(reply.failure.place.file == "\\x1b");
  // As it is, for --json: ASCII without control bytes, or no reply of ours.
  CHECK_FALSE(parse_reply("{\"text\":\"\x1b[2J\"}\n", reply));
  CHECK_FALSE(parse_reply("{\"text\":\"\xc2\x9b\"}\n", reply));
  CHECK(parse_reply(text_line("\x1b\xc3\xa4") + "\n", reply) == false);
}

TEST_CASE("a reload says whether it changed anything") {
  CHECK(changed_line(true, {{Protocol::tcp, 22}}, {}) ==
        R"({"changed":true,"guarded":["tcp/22"],"unguarded":[]})");
  CHECK(changed_line(false, {}, {}) == R"({"changed":false,"guarded":[],"unguarded":[]})");
}

TEST_CASE("the command line: bare is status, a mistyped verb gets the nearest, a verb takes no more words "
          "than it can use") {
  const auto parse = [](std::vector<const char*> words) { return parse_command_line(words); };
  CHECK(parse({}).line.verb == "status");
  CHECK_FALSE(parse({"--json", "open", "ssh", "192.0.2.1", "--for", "5m"}).failure);
  CHECK(parse({"statsu"}).failure->advice == "did you mean status?");
  CHECK(parse({"confirm", "now"}).failure->exit == ExitCode::usage);
  CHECK(parse({"open", "--for"}).failure->text == "--for needs a value");
  CHECK(parse({"--jsn"}).failure);
  CHECK(parse({"--config", "/x.toml", "save"}).line.config == "/x.toml");
  CHECK(parse({"confirm", "--anyway"}).line.anyway);
  CHECK(parse({"status", "x"}).failure->advice == "knockctl status [--ids]");
  CHECK(parse({"open", "ssh", "192.0.2.1", "--timeout", "5s"}).failure->text == "open takes no --timeout");
  CHECK(parse({"--now", "off"}).failure->text == "off takes no --now");
}

TEST_CASE("the command line: --key=value is --key value; a flag takes none") {
  const auto parse = [](std::vector<const char*> words) { return parse_command_line(words); };
  const auto same = [&](const char* verb, const std::string& option,
                        std::optional<std::string> CommandLine::*field) {
    CAPTURE(option);
    const auto apart = parse({verb, option.c_str(), "30m"});
    const auto joined = parse({verb, (option + "=30m").c_str()});
    CHECK_FALSE(joined.failure);
    CHECK(apart.line.*field == "30m");
    CHECK(joined.line.*field == "30m");
  };
  same("open", "--for", &CommandLine::for_time);
  same("reload", "--confirm", &CommandLine::confirm);
  same("wait", "--timeout", &CommandLine::timeout);
  same("status", "--socket", &CommandLine::socket);
  same("check", "--config", &CommandLine::config);
  CHECK(parse({"open", "ssh", "192.0.2.1", "--for=30m"}).line.words.size() == 2);
  CHECK(parse({"open", "ssh", "192.0.2.1", "--for="}).line.for_time == ""); // the daemon refuses it
  CHECK(parse({"close", "ssh", "--for=30m"}).failure->text == "close takes no --for");
  CHECK(parse({"reload", "--confirm=10m"}).line.confirm == "10m");
  CHECK_FALSE(parse({"reload", "--confirm=10m"}).failure);
  CHECK(parse({"--config=/x=y.toml", "save"}).line.config == "/x=y.toml");
  CHECK(parse({"reload", "--now=1"}).failure->text == "--now takes no value");
  CHECK(parse({"wait", "--timeot=1s"}).failure->text == "unknown option --timeot=1s");
}

TEST_CASE("the table of verbs serves both sides: what help says, and what right the daemon asks for") {
  const auto help = help_text();
  for (const auto& verb : kVerbs) {
    CAPTURE(verb.name);
    CHECK(find_verb(verb.name) == &verb);
    const bool fits = verb.name.size() + verb.usage.size() < 40;
    CHECK(help.find(fmt::format("\n  {} {}", verb.name, fits ? verb.usage : "...")) != std::string::npos);
    CHECK(help.find(fmt::format(" {}\n", verb.what)) != std::string::npos);
    const bool has_parts = std::any_of(kVerbParts.begin(), kVerbParts.end(),
                                       [&](const VerbPart& part) { return part.verb == verb.name; });
    CHECK((has_parts || help_text(verb.name).find(verb.usage) != std::string::npos));
    CHECK((verb.what.find("(root)") != verb.what.npos) == (verb.right == Right::root));
    const std::vector<const char*> typed{verb.name.data()};
    CHECK_FALSE(parse_command_line(typed).failure);
  }
  CHECK(find_verb("ope") == nullptr);
  CHECK(find_verb("open")->right == Right::write);
  CHECK(find_verb("wait")->right == Right::read);
  CHECK_FALSE(find_verb("check")->asked);
}

TEST_CASE("an option that may stand several times keeps them all") {
  const auto parse = [](std::vector<const char*> words) { return parse_command_line(words); };
  const auto parsed = parse({"invite", "alice/laptop", "--door", "ssh", "--door=nas", "--host=router.example",
                             "--psk", "--openings", "3", "--password-fd=3", "--clock", "none", "--qr"});
  CHECK_FALSE(parsed.failure);
  CHECK(parsed.line.doors == std::vector<std::string>{"ssh", "nas"});
  CHECK(parsed.line.hosts == std::vector<std::string>{"router.example"});
  CHECK(parsed.line.psk);
  CHECK(parsed.line.openings == "3");
  CHECK(parsed.line.password_fd == "3");
  CHECK(parsed.line.clock == "none");
  CHECK(parsed.line.qr);
  CHECK(parse({"invite", "alice", "--door"}).failure->text == "--door needs a value");
  CHECK(parse({"open", "ssh", "192.0.2.1", "--door", "x"}).failure->text == "open takes no --door");
  CHECK(parse({"user", "add", "alice", "more"}).failure->text == "user add takes no more");
}

TEST_CASE("each verb has a help of its own, with one example that it takes itself") {
  const auto parse = [](std::vector<const char*> words) { return parse_command_line(words); };
  for (const auto& verb : kVerbs) {
    CAPTURE(verb.name);
    const auto help = help_text(verb.name);
    CHECK(help.starts_with(fmt::format("usage: knockctl {}", verb.name)));
    CHECK(help.find(fmt::format("\nexample: {}\n", verb.example)) != std::string::npos);
    CHECK(help.size() < help_text().size() / 3);
    CHECK(verb.example.find(fmt::format("knockctl {}", verb.name)) != std::string::npos);
    CHECK(parse({verb.name.data(), "--help"}).line.verb == verb.name);
  }
  CHECK(help_text(parse({"--help"}).line.verb) == help_text());
  CHECK(help_text("statsu") == help_text());
  CHECK(parse({"close", "--all", "--cut"}).line.cut);
  CHECK(parse({"status", "--ids"}).line.ids);
}

TEST_CASE("each part of a verb has a usage and an example of its own, and takes no other part's options") {
  const auto parse = [](std::vector<const char*> words) { return parse_command_line(words); };
  const auto misused = [&](std::vector<const char*> words) {
    return to_string(misused_part(parse(words).line));
  };
  for (const auto& part : kVerbParts) {
    CAPTURE(part.verb);
    CAPTURE(part.name);
    const auto* verb = find_verb(part.verb);
    REQUIRE(verb != nullptr);
    CHECK(verb->usage.find(part.name) != std::string_view::npos);
    const auto help = help_text(part.verb, part.name);
    CHECK(help.starts_with(fmt::format("usage: knockctl {} {}", part.verb, part.name)));
    CHECK(help.find(fmt::format("\nexample: {}\n", part.example)) != std::string::npos);
    CHECK(part.example.find(fmt::format("knockctl {}", part.verb)) != std::string_view::npos);
    CHECK(help_text(part.verb).find(fmt::format("knockctl {} {}", part.verb, part.name)) !=
          std::string::npos);
    CHECK(misused({part.verb.data(), part.name.data()}).find(part.example) != std::string::npos);
    for (auto usage = part.usage; usage.find("--") != usage.npos;) { // the verb's usage has them all
      usage.remove_prefix(usage.find("--"));
      CHECK(verb->usage.find(usage.substr(0, usage.find_first_of(" ]"))) != std::string_view::npos);
      usage.remove_prefix(2);
    }
  }
  const auto helpless = parse({"sttaus", "--help"}).failure;
  REQUIRE(helpless);
  CHECK(to_string(*helpless) == "unknown verb sttaus; did you mean status?");
  CHECK(misused({"user"}) == "user what?; one of: add list show remove; knockctl user --help");
  CHECK(misused({"user", "lsit"}) == "user takes no lsit; did you mean list?");
  CHECK(misused({"device", "add"}) ==
        "usage: knockctl device add LINE; for example: sudo knockctl device add KNOCKGATE:AFF55ROINU6K...");
  CHECK(parse({"user", "list", "--door", "ssh"}).failure->text == "user list takes no --door");
  CHECK_FALSE(parse({"user", "add", "alice", "--door", "ssh"}).failure);
  CHECK_FALSE(parse({"device", "rotate", "a/b", "--grace", "0s"}).failure);
  CHECK(parse({"user", "add", "--help"}).line.words == std::vector<std::string>{"add"});
}

TEST_CASE("nearest finds a typing slip, and nothing where nothing is near") {
  constexpr std::array<std::string_view, 3> kWords{"knock", "opens", "within"};
  CHECK(nearest("knok", kWords) == "knock");
  CHECK(nearest("oepns", kWords) == "opens");
  CHECK(nearest("forward", kWords).empty());
}
