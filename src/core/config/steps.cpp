// SPDX-License-Identifier: GPL-2.0-or-later
#include "steps.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/flags.hpp>
#include <knock/limits.hpp>

#include "words.hpp"

namespace knock::grammar {
namespace {

/// Takes what `text` begins with; false when it does not.
bool take(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text.remove_prefix(beginning.size());
  return true;
}

std::string_view take_until(std::string_view& text, std::string_view any_of) {
  const auto word = text.substr(0, text.find_first_of(any_of));
  text.remove_prefix(word.size());
  return word;
}

/// Behind the opening quote; up to the closing one, which is taken.
std::optional<std::string> take_word(std::string_view& text) {
  std::string word;
  while (!text.empty() && text[0] != '"') {
    if (take(text, "\\x")) {
      unsigned byte = 0;
      const auto digits = text.substr(0, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) return std::nullopt;
      text.remove_prefix(2);
      word += static_cast<char>(byte);
      continue;
    }
    if (take(text, "\\") && !text.starts_with('"') && !text.starts_with('\\')) return std::nullopt;
    word += text[0];
    text.remove_prefix(1);
  }
  if (!take(text, "\"") || word.size() < kWord.least || word.size() > kWord.most) return std::nullopt;
  return word;
}

/// What stands behind the port of a datagram: its length, or a word in it.
bool take_inside(std::string_view& text, PacketKind& kind) {
  if (take(text, "/len=")) {
    const auto length = parse_count(take_until(text, " "));
    if (!length || *length > static_cast<std::uint64_t>(kDatagram.most)) return false;
    kind.length = static_cast<std::uint16_t>(*length);
  } else if (take(text, ":\"")) {
    auto word = take_word(text);
    if (!word) return false;
    kind.word = std::move(*word);
  }
  return true;
}

std::optional<PacketKind> take_kind(std::string_view& text) {
  PacketKind kind;
  if (const auto name = text.substr(0, text.find_first_of("/: ")); name == "icmp" || name == "icmp6") {
    text.remove_prefix(name.size());
    kind.port = echo_request(name == "icmp" ? Protocol::icmp : Protocol::icmp6);
    return take_inside(text, kind) ? std::optional(kind) : std::nullopt;
  }
  const auto slash = std::min(text.find('/'), text.size() - 1) + 1;
  const auto end = std::min(text.find_first_of("/: ", slash), text.size());
  const auto port = parse_port(text.substr(0, end));
  if (!port) return std::nullopt;
  kind.port = *port;
  text.remove_prefix(end);
  if (port->protocol == Protocol::udp) return take_inside(text, kind) ? std::optional(kind) : std::nullopt;
  if (!take(text, ":")) return kind;
  const auto flags = parse_flags(take_until(text, " "));
  if (!flags) return std::nullopt;
  kind.flags = *flags == kTcpSyn ? std::uint8_t{0} : *flags; // SYN alone is what a plain step is
  return kind;
}

/// But for a word: there the case counts.
std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c == '"') break;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// Of a step with a word, as it can stand between single quotes, on one line.
std::string in_single_quotes(std::string_view step) {
  std::string out = "'";
  for (const char c : step) {
    const bool stands = c >= 0x20 && c < 0x7f && c != '\'';
    out += stands ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<std::uint8_t>(c));
  }
  return out + "'";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// "7143:udp" and "7143/udp" as "udp/7143"; what stands behind, kept.
std::string turned(std::string_view text) {
  auto rest = text;
  const auto number = take_until(rest, ":/ ");
  if (!parse_count(number)) return std::string(text);
  for (const std::string_view protocol : {"tcp", "udp"})
    if (auto after = rest; (take(after, ":") || take(after, "/")) && take(after, protocol))
      return fmt::format("{}/{}{}", protocol, number, after);
  return fmt::format("tcp/{}{}", number, rest);
}

/// "tcp/7143x5", "tcp/7143 x 5", "tcp/7143*5" as "tcp/7143 x5".
std::string counted(std::string text) {
  const auto digits = text.find_last_not_of("0123456789");
  if (digits == text.npos || digits + 1 == text.size()) return text;
  auto head = std::string_view(text).substr(0, digits + 1);
  while (head.ends_with(' ')) head.remove_suffix(1);
  if (!head.ends_with('x') && !head.ends_with('*')) return text;
  head.remove_suffix(1);
  while (head.ends_with(' ')) head.remove_suffix(1);
  return fmt::format("{} x{}", head, std::string_view(text).substr(digits + 1));
}

/// What stands behind icmp or udp/N: "42", ":42", " -s 42", "/size=42" as a length, all else as a word.
std::string turned_inside(std::string_view text) {
  for (const std::string_view sign : {"/length=", "/len:", "/size=", ":len=", " len=", " len = ", "/len = ",
                                      "/len ", " -s ", " length ", " len ", " size ", "/", ":", " "})
    if (auto number = text; take(number, sign) && parse_count(number)) return fmt::format("/len={}", number);
  for (const std::string_view sign : {":", "/", " "})
    if (auto word = text; !text.starts_with(" x") && !text.starts_with("/len=") && take(word, sign))
      return word.starts_with('"') ? fmt::format(":{}", word) : fmt::format(":\"{}\"", escaped_word(word));
  return std::string(text);
}

/// An echo request or a datagram by another name; a word keeps its case.
void guess_inside(std::string_view text, std::string_view plain, std::vector<std::string>& out) {
  const auto behind = [&](std::string_view rest) { return text.substr(text.size() - rest.size()); };
  for (const std::string_view name : {"ping6", "icmpv6", "ipv6-icmp", "icmp6"})
    if (auto rest = plain; take(rest, name)) out.push_back("icmp6" + turned_inside(behind(rest)));
  for (const std::string_view name :
       {"icmp/echo-request", "icmp/echo", "icmp echo", "echo-request", "icmpv4", "icmp/8", "ping", "icmp"})
    if (auto rest = plain; take(rest, name)) out.push_back("icmp" + turned_inside(behind(rest)));
  if (auto rest = plain; take(rest, "udp/"))
    if (const auto number = take_until(rest, "/: ");
        parse_count(number) && !parse_flags(rest.substr(rest.empty() ? 0 : 1)))
      out.push_back(fmt::format("udp/{}{}", number, turned_inside(behind(rest))));
}

/// What a person may have meant, most likely first.
std::vector<std::string> guesses(std::string_view text) {
  const auto plain = lower(text);
  std::vector<std::string> out;
  if (text.find('"') != text.npos) guess_inside(text, plain, out); // before its case is lost
  out.insert(out.end(),
             {plain, turned(plain), counted(plain), counted(turned(plain)), replaced(plain, "tcp:", "tcp/"),
              replaced(plain, "udp:", "udp/"), turned(replaced(replaced(plain, ",!ack", ""), ",", "+")),
              replaced(plain, "|", "+")});
  for (const std::string_view word : {"wait ", "sleep ", "delay ", "pause=", "pause:", "pause", ""})
    if (auto rest = std::string_view(plain); take(rest, word)) {
      const auto span = replaced(std::string(rest), " ", "");
      out.push_back("pause " + span);
      if (!word.empty()) out.push_back(fmt::format("pause {}s", span));
    }
  guess_inside(text, plain, out);
  return out;
}

/// The first guess that is a step.
std::optional<std::string> likely(std::string_view text) {
  for (auto& guess : guesses(text))
    if (parse_step(guess)) return std::move(guess);
  return std::nullopt;
}

std::string toml_string(std::string_view step) {
  return step.find('"') == step.npos ? fmt::format("\"{}\"", step) : in_single_quotes(step);
}

/// "7000:udp,8000:tcp", a sequence in one string, as steps; empty when it is none.
std::string split_up(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto part = take_until(text, ", ");
    const auto step = likely(part);
    if (!part.empty() && !step) return {};
    if (step) out += (out.empty() ? "" : ", ") + toml_string(*step);
    if (!text.empty()) text.remove_prefix(1);
  }
  return out;
}

} // namespace

std::optional<WrittenStep> parse_step(std::string_view text) {
  WrittenStep step;
  if (take(text, "pause ")) {
    const auto pause = parse_duration(text);
    if (!pause || *pause < kPause.least || *pause > kPause.most) return std::nullopt;
    step.pause = *pause;
    return step;
  }
  if (text.empty()) return std::nullopt;
  step.kind = take_kind(text);
  if (!step.kind) return std::nullopt;
  if (take(text, " x")) {
    const auto count = parse_count(text);
    if (!count || *count < static_cast<std::uint64_t>(kRepeats.least) ||
        *count > static_cast<std::uint64_t>(kRepeats.most))
      return std::nullopt;
    step.count = static_cast<unsigned>(*count);
    text = {};
  }
  return text.empty() ? std::optional(step) : std::nullopt;
}

std::string step_advice(std::string_view text) {
  if (text.starts_with("pause "))
    if (const auto pause = parse_duration(text.substr(6)))
      return fmt::format("a pause takes {} to {}", duration_text(kPause.least), duration_text(kPause.most));
  if (const auto step = likely(text)) return fmt::format("did you mean {}?", toml_string(*step));
  if (const auto steps = split_up(text); !steps.empty()) return "write each step in quotes: " + steps;
  if (const auto colon = text.find(':');
      text.starts_with("udp/") && colon != text.npos && parse_flags(lower(text.substr(colon + 1))))
    return "flags are of tcp alone";
  if (text.starts_with("tcp/") && text.find(':') != text.npos && text.find('"') == text.npos)
    return "flags are some of fin syn rst psh ack urg, with + between them: \"tcp/7143:fin+syn\"";
  if (text.starts_with("tcp/") && text.find('"') != text.npos)
    return "the first packet of TCP carries no payload: let a udp or icmp step hold the word";
  if (text.find("/len=") != text.npos && text.find(":\"") != text.npos)
    return "write the word or the length, not both";
  if (text.find(":\"") != text.npos)
    return fmt::format("write a word of {} to {} bytes in quotes; \\\" \\\\ and \\xNN stand for any byte",
                       kWord.least, kWord.most);
  if (const auto times = text.rfind(" x"); times != text.npos && parse_step(text.substr(0, times)))
    return fmt::format("a repeat is x{} to x{}", kRepeats.least, kRepeats.most);
  return "write tcp/N or udp/N with N 1 to 65535, icmp, icmp6, or \"pause 1s\"; more in knockgate.toml(5), "
         "KNOCKS";
}

} // namespace knock::grammar
