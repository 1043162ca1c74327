// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/ruleset.hpp"

#include <linux/netfilter/nf_tables.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "netlink/socket.hpp"

namespace knock::netlink {
namespace {

/// Returns what nft prints.
Result<std::string> run_nft(const std::string& text, bool dry_run, unsigned output_flags = 0) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (context == nullptr) return tl::unexpected(Error{"start libnftables", ENOMEM, ""});
  nft_ctx_set_dry_run(context.get(), dry_run);
  nft_ctx_output_set_flags(context.get(), output_flags);
  nft_ctx_buffer_error(context.get());
  nft_ctx_buffer_output(context.get());
  if (nft_run_cmd_from_buffer(context.get(), text.c_str()) == 0)
    return std::string(nft_ctx_get_output_buffer(context.get()));
  std::string message = nft_ctx_get_error_buffer(context.get());
  message.resize(std::min(message.find('\n'), message.size()));
  const bool denied = message.find("Operation not permitted") != std::string::npos;
  return tl::unexpected(Error{"nft: " + message, denied ? EPERM : EINVAL, denied ? kNeedsCapability : ""});
}

/// A dump of this type (NFT_MSG_GET*) of all families.
template<class One>
Result<std::vector<One>> dump_all(std::uint16_t type, std::optional<One> (*parse)(const nlmsghdr*)) {
  std::vector<One> found;
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  const auto code =
      socket->dump(wire::encode_whole_dump(type, socket->next_sequence()), [&](const nlmsghdr* message) {
        if (auto one = parse(message)) found.push_back(std::move(*one));
      });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != EINTR)
    return tl::unexpected(system::system_error("list the ruleset", *code, kNeedsCapability));
  return found;
}

} // namespace

Result<void> load_ruleset(const std::string& text) {
  return run_nft(text, false).map([](const std::string&) {});
}
Result<void> check_ruleset(const std::string& text) {
  return run_nft(text, true).map([](const std::string&) {});
}
Result<std::string> list_ruleset(const std::string& statement) {
  return run_nft(statement, false, NFT_CTX_OUTPUT_JSON);
}
Result<std::string> list_terse(const std::string& statement) {
  return run_nft(statement, false, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_TERSE);
}

Result<std::vector<wire::TableInfo>> list_tables() {
  return dump_all<wire::TableInfo>(NFT_MSG_GETTABLE, wire::parse_table);
}
Result<std::vector<wire::ExtendedRule>> list_extensions() {
  return dump_all<wire::ExtendedRule>(NFT_MSG_GETRULE, wire::parse_extended_rule);
}

} // namespace knock::netlink
