// SPDX-License-Identifier: GPL-2.0-or-later
/// ExtensionRead: what nft would print for a match or target of iptables, did its JSON know them. Of this room alone.
///
/// In:     its bytes.   Out: a statement as in libnftables-json(5); null: an ordinary packet passes it;
///         `{"never": null}`: none does; `{"xt": ...}`: not known.
/// Source: linux/netfilter/xt_*.h; the match functions of net/netfilter/xt_*.c.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "wire/extension.hpp"

namespace knock::host {

nlohmann::json as_statement(const wire::Extension& extension, const std::string& family);

} // namespace knock::host
