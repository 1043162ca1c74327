// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/book.hpp>

#include <algorithm>

namespace knock {
namespace {

constexpr auto kLastId = ~std::uint64_t{0};

Address last_of(Address subnet) {
  if (subnet.family == Family::ipv6) std::fill(subnet.octets.begin() + 8, subnet.octets.end(), 0xff);
  return subnet;
}

bool matches(const CloseWhich& which, const OpenGrant& grant) {
  return (!which.id || *which.id == grant.id) && (!which.door || *which.door == grant.door) &&
         (!which.source || lets_in(grant, *which.source)) && (!which.key || holds(grant, *which.key)) &&
         (!which.by || (grant.via == Via::kn1 && *which.by == grant.by)) &&
         (which.source_port == 0 || which.source_port == grant.source_port) &&
         (which.ids.empty() || which.ids.contains(grant.id));
}

/// Of the source, and of the prefix around it.
Grants around(const Book& book, const Address& source) {
  auto found = book.of_source(source);
  const auto prefix = masked(source, source.family == Family::ipv4 ? 24 : 64);
  if (prefix != source)
    for (const auto* grant : book.of_source(prefix)) found.push_back(grant);
  return found;
}

} // namespace

void Book::replace(std::uint64_t id, std::optional<OpenGrant> grant) {
  const auto old = grants_.find(id);
  if (old != grants_.end()) index(old->second, false);
  if (grant) {
    last_id_ = std::max(last_id_, id);
    index(*grant, true);
    grants_.insert_or_assign(id, std::move(*grant));
  } else if (old != grants_.end()) {
    grants_.erase(old);
  }
}

void Book::index(const OpenGrant& grant, bool is_there) {
  const auto enter = [&](auto& entries, const auto& entry, bool belongs = true) {
    if (!is_there)
      entries.erase(entry);
    else if (belongs)
      entries.insert(entry);
  };
  enter(by_source_, std::pair(grant.source, grant.id));
  enter(by_device_, std::pair(grant.by, grant.id), grant.via == Via::kn1);
  enter(by_end_, std::pair(grant.ends, grant.id));
  enter(by_idle_, std::pair(grant.terms.idle, grant.id), grant.terms.close == Close::on_idle);
  enter(by_close_, std::pair(grant.closes, grant.id), is_spent(grant) && grant.via != Via::foreign);
  enter(watching_, grant.id, on_disconnect(grant) || grant.set == GrantSet::uses);
  enter(sessions_, grant.id, grant.set == GrantSet::session);
  enter(connected_, grant.id, grant.connected);
}

const OpenGrant* Book::find(std::uint64_t id) const {
  const auto it = grants_.find(id);
  return it == grants_.end() ? nullptr : &it->second;
}

Grants Book::of_source(const Address& source) const {
  return found(by_source_.lower_bound({source, 0}), by_source_.upper_bound({source, kLastId}));
}

Grants Book::of_device(const std::string& label) const {
  return found(by_device_.lower_bound({label, 0}), by_device_.upper_bound({label, kLastId}));
}

Grants Book::of_subnet(const Address& subnet) const {
  return found(by_source_.lower_bound({subnet, 0}), by_source_.upper_bound({last_of(subnet), kLastId}));
}

Grants Book::ending(Instant from, Instant until) const {
  return found(by_end_.upper_bound({from, kLastId}), by_end_.upper_bound({std::max(from, until), kLastId}));
}

std::optional<Instant> Book::next_end(Instant behind) const {
  const auto it = by_end_.upper_bound({behind, kLastId});
  return it == by_end_.end() ? std::nullopt : std::optional(it->first);
}

std::optional<Millis> Book::shortest_idle() const {
  return by_idle_.empty() ? std::nullopt : std::optional(by_idle_.begin()->first);
}

Grants Book::closing(Instant from, Instant until) const {
  return found(by_close_.lower_bound({from, 0}), by_close_.upper_bound({until, kLastId}));
}

std::optional<Instant> Book::next_close() const {
  if (by_close_.empty() || by_close_.begin()->first == Instant::max()) return std::nullopt;
  return by_close_.begin()->first;
}

Grants letting_in(const Book& book, const Address& source, Port port) {
  auto found = around(book, source);
  std::erase_if(found, [&](const OpenGrant* grant) {
    return grant->set == GrantSet::session || !lets_in(*grant, source) || !holds(*grant, port);
  });
  return found;
}

bool watches(const Book& book, const Address& source, Port port) {
  const auto grants = letting_in(book, source, port);
  return std::any_of(grants.begin(), grants.end(),
                     [&](const OpenGrant* grant) { return book.watching().contains(grant->id); });
}

Grants matching(const Book& book, const CloseWhich& which) {
  Grants found;
  if (which.id)
    found = book.find_all(std::vector{*which.id});
  else if (which.key)
    found = book.of_source(which.key->source);
  else if (!which.ids.empty())
    found = book.find_all(which.ids);
  else if (which.source)
    found = around(book, *which.source);
  else
    for (const auto& [id, grant] : book.grants()) found.push_back(&grant);
  std::erase_if(found, [&](const OpenGrant* grant) { return !matches(which, *grant); });
  return found;
}

const OpenGrant* latest(const Grants& grants, const GrantKey& key) {
  const OpenGrant* best = nullptr;
  for (const auto* grant : grants)
    if (holds(*grant, key) && !is_spent(*grant) && (best == nullptr || grant->ends > best->ends))
      best = grant;
  return best;
}

} // namespace knock
