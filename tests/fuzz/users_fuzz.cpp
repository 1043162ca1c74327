// SPDX-License-Identifier: GPL-2.0-or-later
#include <string>
#include <vector>

#include <knock/enrol.hpp>
#include <knock/users_report.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<UserReport> users, again;
  if (parse_users(text, users)) {
    for (const auto& user : users) (void)user_text(user, Moment{}, nullptr);
    for (const auto& line : encode(users)) KNOCK_ASSERT(parse_users(line, again));
  }
  if (const auto keys = parse_keys({&text, 1})) KNOCK_ASSERT(encode_keys(*keys).size() == 1);
  return 0;
}
