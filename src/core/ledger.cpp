// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ledger.hpp>

#include <algorithm>

namespace knock {
namespace {

constexpr Millis kCapRounding{1'000}; // a comment says the cap in whole seconds, rounded down

/// Of the uses that an element counts, those that are spent by so many connections.
std::uint32_t spent(std::uint32_t uses, std::uint64_t connections) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(uses, connections));
}

/// What of the comment says whose element it is. The sixth word is the element's own; `uses` alone always has it.
std::string_view owner_text(std::string_view comment, GrantSet set) {
  const bool more = set == GrantSet::forward && std::count(comment.begin(), comment.end(), ' ') == 5;
  return more || set == GrantSet::uses ? comment.substr(0, comment.rfind(' ')) : comment;
}

/// Of the grant that holds it: ranges stand beside the ports of an exact address.
GrantSet kind_of(const GrantKey& key) {
  return key.set == GrantSet::range ? GrantSet::open : key.set;
}

std::string_view reason_of(const OpenGrant& grant) {
  if (grant.ends >= grant.cap) return "max";
  if (grant.terms.close == Close::on_idle) return "idle";
  return grant.used && on_disconnect(grant) ? "disconnect" : "after";
}

} // namespace

std::optional<OpenGrant> owner_of(const Element& element) {
  auto known = parse_comment(owner_text(element.comment, element.key.set));
  const bool ours = known && known->uses_left == 0 && known->via != Via::foreign &&
                    (element.key.set == GrantSet::session) == (known->via == Via::session);
  return ours ? std::move(known) : std::nullopt;
}

Instant end_of(const Element& element, Instant now) {
  return element.left == Element::kEndless ? kNever : now + element.left;
}

OpenGrant foreign_grant(const Element& element, std::uint64_t id, Instant now) {
  OpenGrant grant;
  grant.id = id;
  grant.door = "foreign";
  grant.via = Via::foreign;
  grant.source = element.key.source;
  grant.set = kind_of(element.key);
  grant.source_port = element.key.source_port;
  if (element.key.set == GrantSet::range)
    grant.ranges = {range_of(element.key)};
  else
    grant.ports = {element.key.port};
  grant.opened = now;
  grant.arrive = grant.ends = grant.cap = end_of(element, now);
  grant.adopted = true;
  if (grant.set == GrantSet::uses) grant.uses_left = 1; // how many its rule lets in is not in its comment
  return grant;
}

void Ledger::adopt(std::span<const Element> elements, const TermsOf& terms_of, Instant now) {
  *this = Ledger(shares_.limits());
  // Elements of one owner carry one comment, to the byte; a connection stands alone.
  std::map<std::tuple<Address, GrantSet, std::string_view, std::uint16_t, Port>, OpenGrant> owners;
  std::map<std::pair<Address, std::string_view>, std::vector<Lead>> leads;
  for (const auto& element : elements) {
    const auto& [key, left, comment, traffic, target] = element;
    const auto text = owner_text(comment, key.set);
    auto known = owner_of(element);
    if (known && known->cap + kCapRounding <= now) continue; // restored from a file
    if (key.set == GrantSet::forward) {
      if (known) leads[{key.source, text}].push_back({key.port, target}); // else it ends by itself
      continue;
    }
    elements_[key] = {traffic, target};
    if (!known) replace(book_.last_id() + 1, foreign_grant(element, book_.last_id() + 1, now));
    if (!known) continue;
    const auto port = key.set == GrantSet::session ? key.port : kNoPort;
    auto& grant =
        owners.try_emplace({key.source, kind_of(key), text, key.source_port, port}, *known).first->second;
    if (key.set == GrantSet::uses)
      if (const auto own = parse_comment(comment))
        grant.uses_left = std::max(grant.uses_left, own->uses_left - spent(own->uses_left, traffic.packets));
    grant.used = grant.used || (key.set == GrantSet::uses && traffic.packets != 0);
    if (key.set == GrantSet::range)
      grant.ranges.push_back(range_of(key));
    else if (key.port != kNoPort || grant.ports.empty())
      grant.ports.push_back(key.port);
    grant.ends = std::min(std::max(grant.ends, end_of(element, now)), grant.cap + kCapRounding);
  }
  for (auto& [owner, grant] : owners) {
    const auto& [source, set, text, source_port, port] = owner;
    grant.source = source;
    grant.set = set;
    grant.source_port = source_port;
    std::sort(grant.ports.begin(), grant.ports.end());
    std::sort(grant.ranges.begin(), grant.ranges.end());
    grant.arrive = grant.ends;
    grant.adopted = true;
    grant.terms = terms_of(grant.door);
    if (const auto led = leads.find({source, text}); led != leads.end()) grant.leads = led->second;
    std::erase_if(grant.leads, [&, &grant = grant](const Lead& lead) { return !holds(grant, lead.outer); });
    for (const auto& lead : grant.leads)
      elements_[{source, lead.outer, GrantSet::forward}] = {{}, lead.target};
    grant.id = book_.last_id() + 1;
    replace(grant.id, std::move(grant));
  }
}

Undo Ledger::accept(const Plan& plan) {
  Undo undo;
  for (const auto& change : plan.batch) {
    const auto* element = held(elements_, change.key);
    undo.elements.emplace_back(change.key, element == nullptr ? std::nullopt : std::optional(*element));
    const bool unread = element != nullptr && (plan.unread || element->unread);
    if (change.kind == Change::Kind::put && !change.comment.empty())
      elements_[change.key] = {change.traffic, change.target, unread};
    else
      elements_.erase(change.key);
  }
  for (const auto& grant : plan.after) {
    undo.grants.emplace_back(grant.id, replace(grant.id, grant));
    if (grant.via == Via::foreign) // its elements are there
      for (const auto& key : keys_of(grant))
        if (elements_.try_emplace(key).second) undo.elements.emplace_back(key, std::nullopt);
  }
  for (auto id : plan.closed) undo.grants.emplace_back(id, replace(id, {}));
  return undo;
}

void Ledger::revert(const Undo& undo) {
  for (auto it = undo.elements.rbegin(); it != undo.elements.rend(); ++it)
    if (it->second)
      elements_[it->first] = *it->second;
    else
      elements_.erase(it->first);
  for (auto it = undo.grants.rbegin(); it != undo.grants.rend(); ++it) replace(it->first, it->second);
}

std::vector<LedgerEvent> Ledger::expire(Instant now) {
  std::vector<LedgerEvent> events;
  for (const auto* ended : book_.ending(Instant::min(), now)) {
    const auto grant = *ended;
    events.push_back(
        {LedgerEvent::Verb::expire, grant, std::string{reason_of(grant)}, traffic(elements_, grant)});
    replace(grant.id, {});
    const auto others = book_.of_source(grant.source);
    for (const auto& key : knock::keys_of(grant))
      if (latest(others, key) == nullptr)
        elements_.erase(key);
      else if (key.set == GrantSet::uses && grant.uses_left != 0)
        outlived_.insert(key);
  }
  return events;
}

void Ledger::note(std::span<const Element> elements) {
  for (const auto& [key, left, comment, traffic, target] : elements) {
    const auto element = elements_.find(key);
    if (element == elements_.end()) continue;
    const auto before = std::exchange(element->second.traffic, traffic).packets;
    if (key.set == GrantSet::uses && traffic.packets > before) spend(key, traffic.packets - before);
  }
}

void Ledger::spend(const GrantKey& key, std::uint64_t connections) {
  auto holders = book_.of_source(key.source);
  std::erase_if(holders, [&](const OpenGrant* one) { return one->uses_left == 0 || !holds(*one, key); });
  std::sort(holders.begin(), holders.end(),
            [](const OpenGrant* a, const OpenGrant* b) { return a->ends < b->ends; });
  for (const auto* holder : holders) { // the one that ends first pays first
    if (connections == 0) return;
    auto grant = *holder;
    const auto paid = spent(grant.uses_left, connections);
    connections -= paid;
    grant.uses_left -= paid;
    grant.used = true;
    replace(grant.id, std::move(grant));
  }
}

Grants Ledger::used_up(Instant now) {
  for (const auto* fresh : book_.closing(Instant::max(), Instant::max())) {
    auto grant = *fresh; // with several ports the others would let in as many again
    grant.closes = grant.ports.size() == 1 ? now + kSentAgain : now;
    replace(grant.id, std::move(grant));
  }
  return book_.closing(Instant::min(), now);
}

std::vector<std::uint64_t> Ledger::spare(std::span<const GrantRequest> requests, std::size_t at_least) {
  const Room room(shares_);
  std::map<std::string_view, std::size_t> lacking; // by door: how many may have to go
  for (const auto& request : requests)
    if (!room.lacking(request, requests.size()).empty()) ++lacking[request.door];
  std::vector<std::uint64_t> ids;
  for (const auto& [door, asked] : lacking) {
    const auto oldest = shares_.oldest(door, std::max(asked, at_least), [&](std::uint64_t id) {
      return is_unused(elements_, book_.grants().at(id));
    });
    ids.insert(ids.end(), oldest.begin(), oldest.end());
  }
  return ids;
}

std::vector<std::uint64_t> Ledger::flow_begun(const Address& source, Port port, bool known, Instant now) {
  ++connections_[{source, port}];
  std::vector<std::uint64_t> ids;
  for (const auto* held : letting_in(book_, source, port)) {
    if (!on_disconnect(*held)) continue;
    auto grant = *held;
    grant.used = true;
    grant.parted = {};
    if (!known || grant.adopted)
      grant.arrive = now; // one that is older than the knock is not the awaited one
    ids.push_back(grant.id);
    replace(grant.id, std::move(grant));
  }
  return ids;
}

void Ledger::flows_answered(const Address& source, Port port, Instant now) {
  for (const auto* held : letting_in(book_, source, port)) {
    if (!is_spent(*held) || held->closes <= now) continue;
    auto grant = *held;
    grant.closes = now;
    replace(grant.id, std::move(grant));
  }
}

std::vector<std::uint64_t> Ledger::flow_ended(const Address& source, Port port, Instant now) {
  std::vector<std::uint64_t> ids;
  const auto count = connections_.find({source, port});
  if (count == connections_.end() || --count->second != 0) return ids;
  connections_.erase(count);
  for (const auto* held : letting_in(book_, source, port)) {
    if (!on_disconnect(*held) || is_connected(connections_, *held)) continue;
    ids.push_back(held->id);
    auto parted = *held;
    parted.parted = now;
    replace(held->id, std::move(parted));
  }
  return ids;
}

void Ledger::forget_flows() {
  connections_.clear();
  for (const auto* held : book_.find_all(book_.connected())) replace(held->id, *held);
}

std::optional<OpenGrant> Ledger::replace(std::uint64_t id, std::optional<OpenGrant> grant) {
  std::optional<OpenGrant> before;
  if (const auto* old = book_.find(id)) {
    shares_.remove(*old);
    before = *old;
  }
  if (grant) {
    shares_.add(*grant, is_unused(elements_, *grant));
    grant->connected = on_disconnect(*grant) && is_connected(connections_, *grant);
  }
  book_.replace(id, std::move(grant));
  return before;
}

} // namespace knock
