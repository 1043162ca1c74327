// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_line.hpp>
#include <knock/client_verbs.hpp>

#include <doctest/doctest.h>
#include <fmt/ranges.h>

using namespace knock;
using namespace std::chrono_literals;

namespace {

ParsedClientLine parse(const std::vector<std::string>& words) {
  std::vector<const char*> arguments;
  for (const auto& word : words) arguments.push_back(word.c_str());
  return parse_client_line(arguments);
}

ClientLine taken(const std::vector<std::string>& words) {
  auto parsed = parse(words);
  if (parsed.failure) FAIL(to_string(*parsed.failure));
  return std::move(parsed.line);
}

std::string refused(const std::vector<std::string>& words) {
  const auto parsed = parse(words);
  if (!parsed.failure) FAIL(fmt::format("taken: {}", fmt::join(words, " ")));
  CHECK(parsed.failure->exit == ExitCode::usage);
  CHECK(parsed.failure->code == "usage");
  const auto text = to_string(*parsed.failure);
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.find("knockctl --help") == std::string::npos); // of another program
  return text;
}

std::string line_text(LineKind kind) {
  Line line;
  line.kind = kind;
  line.hosts = {"router.example"};
  LineDoor door;
  door.name = "ssh";
  door.ports = {*parse_port_range("tcp/22")};
  if (kind == LineKind::knock) door.knock = {"tcp/7143", "tcp/7144"};
  line.doors = {door};
  if (kind != LineKind::knock) line.name = "alice/laptop";
  if (kind == LineKind::rotating) line.rotating.emplace();
  if (kind != LineKind::knock && kind != LineKind::rotating) {
    line.ports = {"udp/17022"};
    line.servers.emplace_back();
    line.device.emplace();
  }
  return encode(line).value();
}

const std::vector<std::string> kSecretLines{line_text(LineKind::psk), line_text(LineKind::rotating),
                                            line_text(LineKind::knock), line_text(LineKind::password)};

Profile profile(std::string name, std::vector<std::string> hosts) {
  Profile one;
  one.name = std::move(name);
  one.hosts = std::move(hosts);
  LineDoor ssh;
  ssh.name = "ssh";
  ssh.ports = {*parse_port_range("tcp/22"), *parse_port_range("udp/53"), *parse_port_range("tcp/8000-8010")};
  LineDoor nas;
  nas.name = "nas";
  nas.ports = {*parse_port_range("tcp/445")};
  nas.at = {"nas." + one.name};
  one.doors = {ssh, nas};
  return one;
}
const std::vector<Profile> kProfiles{profile("home", {"router.example", "203.0.113.1"}),
                                     profile("work", {"gw.example"})};

std::string complete(std::vector<std::string_view> words) {
  return fmt::format("{}", fmt::join(client_completions(words, kProfiles), " "));
}

} // namespace

TEST_CASE("each verb, with words and options") {
  auto line = taken(
      {"open",      "home",   "ssh",        "--for", "90s",   "--for-address",   "2001:db8::9", "--args-fd",
       "3",         "--icmp", "--no-probe", "--key", "/k",    "--password-fd=0", "--timeout",   "1m",
       "--profile", "home",   "-4",         "-v",    "--json"});
  CHECK(line.verb == "open");
  CHECK(line.words == std::vector<std::string>{"home", "ssh"});
  CHECK(line.open_for == 90s);
  CHECK(line.for_address == parse_address("2001:db8::9"));
  CHECK(line.args_fd == 3);
  CHECK((line.icmp && line.no_probe && line.only4 && !line.only6 && line.verbose && line.json));
  CHECK(line.key == "/k");
  CHECK(line.password_fd == 0);
  CHECK(line.timeout == 1min);
  CHECK(line.profile == "home");

  CHECK(taken({"connect", "router.example", "22", "-6"}).only6);
  CHECK(taken({"connect", "2001:db8::1", "65535"}).timeout == 10s);
  CHECK(taken({"close", "home", "--key-fd", "9"}).key_fd == 9);
  CHECK(taken({"list"}).words.empty());
  CHECK(taken({"list", "router.example", "22", "--ssh"}).ssh);
  CHECK(taken({"status"}).verb == "status");
  line = taken({"knock", "router.example", "tcp/7143", "7144:udp", "pause 1s", "-d", "0"});
  CHECK(line.words.size() == 4);
  CHECK(line.spacing == 0);
  CHECK(taken({"join"}).words.empty());
  CHECK(taken({"join", "-"}).words == std::vector<std::string>{"-"});
  CHECK(taken({"join", "--name", "work", "line.txt"}).name == "work");
  CHECK(taken({"join", line_text(LineKind::invite)}).words.size() == 1);
}

TEST_CASE("behind -- keep has a command, which is nobody's business") {
  auto line =
      taken({"keep", "home", "mosh", "--for", "30s", "--", "mosh", "--json", "-x", "--", "router.example"});
  CHECK(line.words == std::vector<std::string>{"home", "mosh"});
  CHECK(line.command == std::vector<std::string>{"mosh", "--json", "-x", "--", "router.example"});
  CHECK(!line.json);
  CHECK(taken({"keep", "home"}).command.empty());
  CHECK(refused({"keep", "home", "--"}).starts_with("-- needs a command behind it; knockgate keep HOST"));
  CHECK(refused({"keep", "home", "mosh", "mosh", "x"})
            .starts_with("keep takes no \"mosh\"; knockgate keep HOST"));
}

TEST_CASE("behind -- the other verbs have words, checked all the same") {
  CHECK(taken({"connect", "--", "router.example", "22"}).words.size() == 2);
  CHECK(taken({"--", "status"}).verb == "status");
  CHECK(refused({"connect", "--", "-oX", "22"}).starts_with("\"-oX\" is no name or address of a host; "));
  CHECK(refused({"open", "home", "--", "--json"}) ==
        "\"--json\" is no name of a door; knockgate list shows them");
}

TEST_CASE("a hostile host, door or port is refused, in few words") {
  for (const std::string bad :
       {"a b", "a\"b", "a'b", "a;b", "$(x)", "a/b", "", "\xc3\xa4", "a\nb", "-", "https://x"}) {
    CHECK(refused({"connect", bad, "22"}).find("is no name or address of a host") != std::string::npos);
    CHECK(refused({"open", "home", bad}).find("is no name of a door") != std::string::npos);
  }
  CHECK(refused({"connect", "-oX", "22"}) == "unknown option \"-oX\"; see: knockgate --help");
  CHECK(refused({"connect", "-oProxyCommand=x", "22"}).starts_with("unknown option \"-oProxyCommand=x\"; "));
  const auto longest = refused({"connect", std::string(300, 'a'), "22"});
  CHECK(longest.size() < 200);
  CHECK(taken({"connect", std::string(253, 'a'), "22"}).words.size() == 2);
  CHECK(refused({"connect", std::string(254, 'a'), "22"}).size() < 200);
  for (const std::string bad : {"0", "65536", "022", "ssh", "", "22 ", "-1x", "tcp/22", "+22", "4294967318"})
    CHECK_MESSAGE(parse({"connect", "home", bad}).failure, bad);
}

TEST_CASE("a verb has words enough, and not too many") {
  CHECK(refused({"connect", "home"}) ==
        "connect needs more: knockgate connect HOST PORT [--icmp] [--key FILE|--key-fd N] [--password-fd N]; "
        "for example: ssh -o 'ProxyCommand knockgate connect %h %p' router.example");
  CHECK(refused({"open"}).starts_with("open needs more: "));
  CHECK(refused({"knock", "home"}).starts_with("knock needs more: "));
  CHECK(refused({"status", "home"}) == "status takes no \"home\"; knockgate status");
  CHECK(refused({"list", "a", "22", "23"}).starts_with("list takes no \"23\"; "));
  CHECK(refused({"join", "a", "b"}).starts_with("join takes no \"b\"; "));
}

TEST_CASE("an option that the verb does not take, or nobody") {
  CHECK(refused({"connect", "home", "22", "--for", "3s"})
            .starts_with("connect takes no --for; knockgate connect HOST"));
  CHECK(refused({"status", "--ssh"}).starts_with("status takes no --ssh; "));
  CHECK(refused({"open", "home", "-d", "5"}).starts_with("open takes no -d; "));
  CHECK(refused({"list", "--key", "x"})
            .starts_with("list takes no --key; ")); // --key-fd stands in no usage of it either
  CHECK(refused({"open", "home", "--fro", "3s"}) == "unknown option \"--fro\"; did you mean --for?");
  CHECK(refused({"open", "home", "--for"}).starts_with("--for needs a value; "));
  CHECK(refused({"open", "home", "--icmp=yes"}).starts_with("--icmp takes no value; "));
  CHECK(refused({"open", "home", "-4", "-6"}).starts_with("-4 does not go with -6; "));
  CHECK(refused({"open", "home", "--key", "a", "--key-fd", "3"})
            .starts_with("--key does not go with --key-fd; "));
}

TEST_CASE("values within limits alone") {
  for (const std::string bad : {"0s", "1500ms", "31d", "30", "", "-5s"})
    CHECK_MESSAGE(refused({"open", "home", "--for", bad}).starts_with("--for takes no "), bad);
  for (const std::string bad : {"999ms", "601s", "10", ""})
    CHECK_MESSAGE(refused({"status", "--timeout", bad}).starts_with("--timeout takes no "), bad);
  CHECK(taken({"status", "--timeout", "1500ms"}).timeout == 1500ms);
  for (const std::string bad : {"-1", "", "x", "3x", "9999999999"})
    CHECK_MESSAGE(refused({"open", "home", "--key-fd", bad}).starts_with("--key-fd takes no "), bad);
  for (const std::string bad : {"router.example", "203.0.113.0/24", ""})
    CHECK_MESSAGE(refused({"open", "home", "--for-address", bad}).starts_with("--for-address takes no "),
                  bad);
  for (const std::string bad : {"10001", "-1", "5ms"})
    CHECK_MESSAGE(refused({"knock", "a", "tcp/1", "-d", bad}).starts_with("-d takes no "), bad);
  for (const std::string bad : {"../x", "A", "", ".", "a/b"}) {
    CHECK_MESSAGE(refused({"status", "--profile", bad}).starts_with("--profile takes no "), bad);
    CHECK_MESSAGE(refused({"join", "--name=" + bad}).starts_with("--name takes no "), bad);
  }
  CHECK(refused({"open", "home", "--key="}).starts_with("--key takes no "));
}

TEST_CASE("no verb, or none that there is") {
  CHECK(refused({}) == "knockgate needs a verb; one of: join open connect keep close list status knock; "
                       "see: knockgate --help");
  CHECK(refused({"--json"}).starts_with("knockgate needs a verb; "));
  CHECK(refused({"opne", "home"}) == "unknown verb \"opne\"; did you mean open?");
  CHECK(refused({"router.example", "22"}).starts_with("unknown verb \"router.example\"; one of: join "));
  CHECK(parse({"opne", "--json"}).line.json);
  CHECK(parse({"--nope", "--json"}).line.json);
}

TEST_CASE("help and version need no verb, and no words") {
  CHECK(taken({"--help"}).verb.empty());
  CHECK(taken({"connect", "--help"}).help);
  CHECK(taken({"-h", "connect"}).verb == "connect");
  CHECK(taken({"--version"}).version);
}

TEST_CASE("a line that is a key is refused wherever it stands, and not shown") {
  for (const auto& line : kSecretLines) {
    auto lower = line;
    for (auto& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto half = line.size() / 2;
    for (const std::vector<std::string>& words : {std::vector<std::string>{"join", line},
                                                  {"join", lower},
                                                  {"join", " " + line},
                                                  {"join", "--", line},
                                                  {"join", line.substr(0, half), line.substr(half)},
                                                  {line},
                                                  {"open", line},
                                                  {"open", "home", line},
                                                  {"connect", "home", line},
                                                  {"keep", "home", "--", "echo", line},
                                                  {"join", "--name", line},
                                                  {"join", "--name=" + line},
                                                  {"join", line, "--help"},
                                                  {"knock", "home", line}}) {
      const auto text = refused(words);
      CHECK(text == "this line is a key: an argument is shown by ps and kept by the shell's history; "
                    "run knockgate join and paste it");
    }
  }
}

TEST_CASE("a line that is cut may be a key: it is not shown") {
  const auto cut = kSecretLines[0].substr(0, 60);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"join", cut},
                                                {"open", cut},
                                                {"connect", "home", cut},
                                                {cut},
                                                {"join", "a", cut}})
    CHECK(refused(words).find(cut.substr(10, 12)) == std::string::npos);
  CHECK(refused({"join", cut}) == to_string(failure_of(LineFault::damaged)));
  for (const auto& line : {cut, line_text(LineKind::invite)})
    CHECK(refused({"open", line}) == "a line stands alone behind join; run knockgate join and paste it");
  const auto answer = encode(make_answer(LineDevice{}, kn1::Public{}));
  CHECK(refused({"join", answer}) == to_string(failure_of(LineFault::answer)));
}

TEST_CASE("help names all verbs, and of one its options and an example") {
  const auto help = client_help();
  for (const auto& verb : kClientVerbs) {
    CHECK(help.find(fmt::format("\n  {}", verb.name)) != std::string::npos);
    const auto own = client_help(verb.name);
    CHECK(own.starts_with(fmt::format("usage: knockgate {}", verb.name)));
    CHECK(own.find("\nexample: ") != std::string::npos);
    for (const auto& option : kClientOptions)
      CHECK((own.find(fmt::format("\n  {} ", option.name)) != std::string::npos) ==
            (!option.of_any && takes(verb, option)));
  }
  CHECK(client_help("nope") == help);
  for (const auto& text : {help, client_help("open")})
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      if (!text.substr(at).starts_with("usage: ")) CHECK_MESSAGE(end - at <= 110, text.substr(at, end - at));
      at = end + 1;
    }
}

TEST_CASE("each example is a line that is taken") {
  for (const auto& verb : kClientVerbs) {
    std::vector<std::string> words;
    std::string_view rest = verb.example;
    if (!rest.starts_with("knockgate ")) continue; // ssh calls us
    while (!rest.empty()) {
      const auto end = std::min(rest.find(' '), rest.size());
      words.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    CHECK(taken({words.begin() + 1, words.end()}).verb == verb.name);
  }
}

TEST_CASE("an option is of the verb whose usage names it whole") {
  CHECK(takes(*find_client_verb("open"), *find_client_option("--for")));
  CHECK(takes(*find_client_verb("keep"), *find_client_option("--for")));
  CHECK(!takes(*find_client_verb("close"), *find_client_option("--for")));
  constexpr ClientVerb fd{"x", 0, "[--key-fd N]", 0, {ClientWord::none, ClientWord::none}, "", ""};
  CHECK(!takes(fd, *find_client_option("--key")));
  CHECK(takes(fd, *find_client_option("--key-fd")));
}

TEST_CASE("what a shell completes") {
  CHECK(complete({""}) == "close connect join keep knock list open status");
  CHECK(complete({"c"}) == "close connect");
  CHECK(complete({"--json", "st"}) == "status");
  CHECK(complete({"nope", ""}) == "");
  CHECK(complete({"list", "--"}) == "--help --json --profile --ssh --timeout --version");
  CHECK(complete({"knock", "a", "-"}) == "--help --json --profile --timeout --version -4 -6 -d -h -v");
  CHECK(complete({"--p"}) == "--profile");
  CHECK(complete({"open", ""}) == "203.0.113.1 gw.example home nas.home nas.work router.example work");
  CHECK(complete({"connect", "r"}) == "router.example");
  CHECK(complete({"knock", ""}) == "203.0.113.1 gw.example nas.home nas.work router.example");
  CHECK(complete({"open", "home", ""}) == "nas ssh");
  CHECK(complete({"keep", "gw.example", "s"}) == "ssh");
  CHECK(complete({"connect", "router.example", ""}) == "22 445");
  CHECK(complete({"list", "nowhere.example", ""}) == "");
  CHECK(complete({"list", "nowhere.example", "--profile", "home", ""}) == "22 445");
  CHECK(complete({"list", "nowhere.example", "--profile=work", ""}) == "22 445");
  CHECK(complete({"open", "--profile", ""}) == "home work");
  CHECK(complete({"open", "--for", ""}) == "");
  CHECK(complete({"open", "--for", "30s", "h"}) == "home");
  CHECK(complete({"knock", "router.example", ""}) == "");
  CHECK(complete({"keep", "home", "ssh", "--", ""}) == "");
  CHECK(complete({"status", ""}) == "");
  CHECK(complete({"connect", "home", "22", ""}) == "");
  CHECK(client_completions({}, kProfiles).empty());
}
