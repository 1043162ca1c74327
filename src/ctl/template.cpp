// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <fmt/format.h>

#include <knock/ruleset.hpp>

#include "ctl/show.hpp"
#include "system/files.hpp"

namespace knock::ctl {

int print_template(const CommandLine& given) {
  const auto name = given.words.empty() ? std::string("gate") : given.words[0];
  const auto parsed = system::load_config(config_of(given)); // a bad or unreadable one: the shipped values
  const auto text = template_text(name, parsed.config ? tokens_of(*parsed.config) : TemplateTokens{});
  if (!text)
    return fail(given,
                usage_failure("there is no template " + name, "name gate, forward, cut, wide, kn1 or embed"));
  fmt::print("{}", *text);
  return 0;
}

} // namespace knock::ctl
