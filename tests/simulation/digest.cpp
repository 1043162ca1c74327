// SPDX-License-Identifier: GPL-2.0-or-later
#include "digest.hpp"

#include <cstring>

namespace knock::simulation {
namespace {

std::uint64_t number_of(Port port) {
  return static_cast<std::uint64_t>(port.protocol) << 16U | port.number;
}

} // namespace

void Digest::add(std::string_view text) {
  add(text.size());
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    add(word);
    text.remove_prefix(8);
  }
  for (const char one : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(one)));
}

void Digest::add(const GrantKey& key) {
  const auto bytes = key.source.bytes();
  add(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  add(number_of(key.port));
  add(static_cast<std::uint64_t>(key.set) << 16U | key.source_port |
      static_cast<std::uint64_t>(key.last) << 32U);
}

void Digest::add(const Batch& batch) {
  for (const auto& change : batch) {
    add(change.key);
    add(static_cast<std::uint64_t>(change.kind));
    add(static_cast<std::uint64_t>(change.timeout.count()));
    add(std::string_view(change.comment));
    add(change.traffic.packets);
    add(change.traffic.bytes);
    add(change.uses);
    add(change.target.port);
  }
}

void Digest::add(const StaticSets& sets) {
  for (const auto& [port, left] : sets.guarded) {
    add(number_of(port));
    add(left ? static_cast<std::uint64_t>(left->count()) : 0);
  }
  for (const auto& port : sets.knocks) add(number_of(port));
  for (const auto protocol : sets.pings) add(static_cast<std::uint64_t>(protocol));
  for (const auto& port : sets.kn1) add(number_of(port));
  add(sets.kn1_icmp ? 1 : 0);
}

void Digest::add(const keeper::Steps& steps) {
  for (const auto& step : steps) {
    add(step.index());
    if (const auto* load = std::get_if<keeper::Load>(&step)) {
      add(load->sets);
      add(load->grants);
    } else if (const auto* commit = std::get_if<keeper::Commit>(&step)) {
      add(commit->batch);
    } else if (const auto* remember = std::get_if<keeper::Remember>(&step)) {
      add(std::string_view(remember->text));
    } else if (const auto* instruct = std::get_if<keeper::Instruct>(&step)) {
      add(std::string_view(reinterpret_cast<const char*>(instruct->policy.data()), instruct->policy.size()));
    } else if (const auto* listen = std::get_if<keeper::Listen>(&step)) {
      add(static_cast<std::uint64_t>(listen->table ? 2 : 0) + (listen->flows ? 1 : 0));
    }
  }
}

void Digest::add(const keeper::Said& said) {
  for (const auto& line : said.lines) add(std::string_view(line.text));
  for (const auto& told : said.told) {
    add(told.ticket);
    for (const auto& line : told.reply.lines) add(std::string_view(line));
    add(std::string_view(told.reply.failure.text));
  }
  for (const auto& run : said.runs) add(std::string_view(run.request.door));
  add(said.suspicions);
  if (said.next) add(static_cast<std::uint64_t>(said.next->time_since_epoch().count()));
}

} // namespace knock::simulation
