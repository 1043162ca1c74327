// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ctl/enrol_files.hpp"
#include "ctl/fresh.hpp"
#include "ctl/print_line.hpp"
#include "ctl/remove.hpp"
#include "ctl/show.hpp"
#include "ctl/users_of.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

/// What a device's own file says. Errors: it stands in another, or with others.
tl::expected<Device, Failure> own_words(const UsersPlace& place, const Device& device) {
  const auto text = text_of_file(place.path_of(device_file(device.user, device.name)));
  auto alone = text ? device_alone(*text, system::outside_here()) : std::nullopt;
  if (!alone || alone->label != device.label)
    return tl::unexpected(stands_elsewhere(device.label, device.place));
  return std::move(*alone);
}

NewFile file_of(const UsersPlace& place, const Device& device) {
  return {place.path_of(device_file(device.user, device.name)), device_text(device)};
}

void say_added(const CommandLine& given, const Config& config, const Device& device) {
  const auto key = fingerprint(*device.key.public_key);
  const auto shut = shut_out(config, device, system::now(), system::to_local);
  if (shut && given.json) warn(*shut);
  if (given.json) {
    fmt::print("{{\"schema\":1,\"device\":\"{}\",\"fingerprint\":\"{}\"}}\n", device.label, key);
    return;
  }
  if (shut) {
    fmt::print("{} opens nothing: {}; {}\nkey {} (compare: knockgate list)\n", device.label, shut->text,
               shut->advice, key);
    return;
  }
  const bool waits = device.from && *device.from > system::now();
  fmt::print("{} opens {} from {}.   key {} (compare: knockgate list)\n", device.label,
             fmt::join(device.doors, " "), waits ? minute_here(*device.from) : "now", key);
}

/// The device that the answer of `knockgate join` is of. Errors: none, or it cannot be taken.
tl::expected<const Device*, Failure> answering(const Config& config, const LineAnswer& answer) {
  for (const auto& user : config.users)
    for (const auto& device : user.devices) {
      if (device.key.kid != answer.kid) continue;
      if (device.accepts != Accepts::kn1 || !fits(answer, {device.key.kid, device.key.secret}))
        return tl::unexpected(refused(fmt::format("this line is not of {}, or damaged", device.label),
                                      "take it from `knockgate join` once more"));
      if (device.key.public_key && *device.key.public_key != answer.key)
        return tl::unexpected(refused(fmt::format("{} has another key already", device.label),
                                      "knockctl device rotate " + device.label));
      if (!device.key.public_key && device.claim && *device.claim <= system::now())
        return tl::unexpected(
            refused(fmt::format("the invite of {} ended {}", device.label, minute_here(*device.claim)),
                    "knockctl device rotate " + device.label));
      return &device;
    }
  return tl::unexpected(refused("no device here waits for this line",
                                "it was rotated or removed since, or the line is for another router"));
}

/// The lines that go the other way look alike.
Failure no_answer(const std::string& text) {
  const auto line = parse_line(text);
  if (!line)
    return refused("this is no line that `knockgate join` prints at its end, or it is cut or mistyped",
                   "sudo knockctl device add KNOCKGATE:...");
  if (line->kind == LineKind::invite)
    return refused(
        fmt::format("this is the line for the device{}", line->name.empty() ? "" : " " + line->name),
        "paste it there, into `knockgate join`, and bring here the line that join answers");
  return refused("this line is for a client, and is its key: nothing is to be added here",
                 "knockctl device list shows what is here");
}

int add(const CommandLine& given, const std::string& line) {
  const auto answer = parse_answer(line);
  if (!answer) return fail(given, no_answer(line));
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  const auto config = check_with(*place, {});
  if (!config) return fail(given, config.error());
  const auto device = answering(*config, *answer);
  if (!device) return fail(given, device.error());
  if ((*device)->key.public_key) return say_added(given, *config, **device), 0; // the same line again
  auto own = own_words(*place, **device);
  if (!own) return fail(given, own.error());
  own->key.public_key = answer->key;
  own->claim.reset();
  std::vector<NewFile> files;
  files.push_back(file_of(*place, *own));
  const auto after = check_with(*place, files);
  if (!after) return fail(given, after.error());
  if (const auto written = write_all(files); !written) return fail(given, written.error());
  return tell_daemon(given, [&] { say_added(given, *after, *find_device(*after, own->label)); });
}

/// New keys in place of the old ones, which live on for a while where they opened anything.
tl::expected<void, Failure> renew(const CommandLine& given, Device& device, Millis grace) {
  const auto now = system::now();
  const bool opened = device.accepts != Accepts::kn1 || device.key.public_key;
  const auto until = now + std::chrono::ceil<Seconds>(grace);
  if (opened || grace == Millis{0}) device.old.reset();
  if (opened && grace > Millis{0}) device.old = OldKey{device.key, until};
  if (device.old) device.old->until = std::min(device.old->until, until); // the key that its device has still
  if (device.accepts == Accepts::kn1) {
    device.claim = now + kClaim;
    if (device.until && *device.until > now) device.claim = std::min(*device.claim, *device.until);
  }
  return give_key(given, device);
}

int rotate(const CommandLine& given, const std::string& label) {
  const auto grace = parse_duration(given.grace.value_or("7d"));
  if (!grace || *grace > kOpenFor.most)
    return fail(given, usage_failure("--grace is no duration", "--grace 7d, at most 30d; 0s: none"));
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  const auto config = check_with(*place, {});
  if (!config) return fail(given, config.error());
  const auto* device = find_device(*config, label);
  if (device == nullptr) return fail(given, refused("there is no device " + label, "knockctl device list"));
  auto own = own_words(*place, *device);
  if (!own) return fail(given, own.error());
  if (const auto renewed = renew(given, *own, *grace); !renewed) return fail(given, renewed.error());
  std::vector<NewFile> files;
  files.push_back(file_of(*place, *own));
  auto after = check_with(*place, files);
  if (!after) return fail(given, after.error());
  if (const auto lent = borrow_keys(given, *after); !lent) return fail(given, lent.error());
  const auto* made = find_device(*after, label);
  if (const auto line = line_of(*after, *made, given.hosts); !line) return fail(given, line.error());
  if (const auto written = write_all(files); !written) return fail(given, written.error());
  const int code = print_line(given, *after, *made);
  return std::max(code, tell_daemon(
                            given, [] {}, label));
}

int line(const CommandLine& given, const std::string& label) {
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  auto config = check_with(*place, {});
  if (!config) return fail(given, config.error());
  if (const auto lent = borrow_keys(given, *config); !lent) return fail(given, lent.error());
  const auto* device = find_device(*config, label);
  if (device == nullptr) return fail(given, refused("there is no device " + label, "knockctl device list"));
  return print_line(given, *config, *device);
}

bool is_label(std::string_view text) {
  const auto slash = text.find('/');
  return slash != text.npos && is_user_name(text.substr(0, slash)) && is_user_name(text.substr(slash + 1));
}

} // namespace

int device(const CommandLine& given) {
  const auto verb = given.words.empty() ? std::string() : given.words[0];
  const auto what = given.words.size() < 2 ? std::string() : given.words[1];
  if (verb == "list") return list_users(given, what);
  if (verb == "add" && !what.empty()) return add(given, what);
  if (verb == "remove" && is_label(what)) return remove_from_users(given, what);
  if (verb == "rotate" && is_label(what)) return rotate(given, what);
  if (verb == "line" && is_label(what)) return line(given, what);
  return fail(given, misused_part(given));
}

} // namespace knock::ctl
