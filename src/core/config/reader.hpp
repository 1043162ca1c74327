// SPDX-License-Identifier: GPL-2.0-or-later
/// Reader: takes typed values out of what was written, and complains with the place when it cannot.
///
/// In:     a Written and its limits.   Out: the value, or nothing and one finding more.
/// A table's keys are a list of Key, read in the order of the file; what a later version adds is a LaterKey.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/limits.hpp>

#include "words.hpp"

namespace knock::grammar {

class Reader;

template<class Out>
struct Key {
  std::string_view name;
  void (*read)(Reader& in, const Written& value, Out& out);
};

/// A key whose function comes with a later version: checked, then refused unless it says what is true today.
struct LaterKey {
  std::string_view name;
  void (*check)(Reader& in, const Written& value);
  std::string_view today; ///< the one value that may stand; "[]" an empty array; "" none
};

class Reader {
 public:
  using OfLocal = Moment (*)(LocalMoment);
  /// `of_local` knows the time zone that dates are written in; null: UTC.
  Reader(std::vector<Finding>& findings, OfLocal of_local) : findings_(findings), of_local_(of_local) {}

  void refuse(const Spot& spot, std::string text, std::string advice);
  /// How many complaints there are so far.
  [[nodiscard]] std::size_t complaints() const { return findings_.size(); }

  std::optional<bool> boolean(const Written& value);
  std::optional<std::int64_t> integer(const Written& value, const Count& allowed);
  std::optional<Millis> duration(const Written& value, const Span& allowed);
  /// 2026-12-24 (it begins then), 2026-12-24T18:00:00, or with an offset: 2026-12-24T18:00:00Z.
  std::optional<Moment> date(const Written& value);
  std::optional<std::uint32_t> size(const Written& value, const Range<std::uint32_t>& allowed);
  std::optional<std::string_view> string(const Written& value);
  /// An absolute path. `may_be_empty`: or "" for none.
  std::optional<std::string> path(const Written& value, std::size_t most_bytes, bool may_be_empty = false);
  /// Which of `words` it is.
  std::optional<std::size_t> choice(const Written& value, std::initializer_list<std::string_view> words);
  /// The entries of an array of so many strings, empty after a complaint.
  std::span<const Written> strings(const Written& value, const Range<std::size_t>& allowed);
  bool is_table(const Written& value, std::string_view header);

  /// Reads every key of `table`. `what` names it in findings: "door ssh".
  template<class Out>
  void keys(const Written& table, std::string_view what, std::span<const Key<Out>> known,
            std::span<const LaterKey> later, Out& out) {
    for (const auto& item : table.items) {
      if (const auto* key = named(known, item.key))
        key->read(*this, item, out);
      else if (const auto* later_key = named(later, item.key))
        refuse_later(*later_key, item);
      else
        unknown("key", item, what, names(known), names(later));
    }
  }

  /// Complains about an unknown name: what was probably meant, and what there is.
  void unknown(std::string_view kind, const Written& item, std::string_view what,
               std::vector<std::string_view> known, const std::vector<std::string_view>& later);

 private:
  template<class AnyKey>
  static const AnyKey* named(std::span<const AnyKey> keys, std::string_view name) {
    for (const auto& key : keys)
      if (key.name == name) return &key;
    return nullptr;
  }
  template<class AnyKey>
  static std::vector<std::string_view> names(std::span<const AnyKey> keys) {
    std::vector<std::string_view> names;
    for (const auto& key : keys) names.push_back(key.name);
    return names;
  }

  bool is_kind(const Written& value, Written::Kind kind, std::string_view wanted, std::string_view example);
  void refuse_later(const LaterKey& key, const Written& value);

  std::vector<Finding>& findings_;
  OfLocal of_local_;
};

/// `within = "10s"`; of an entry of an array the value alone.
std::string shown(const Written& value);

/// "FILE:LINE:COL", of a place that is kept.
std::string to_string(const Place& place);

/// Keeps the default when there is nothing.
template<class T, class V>
void set(T& out, const std::optional<V>& value) {
  if (value) out = static_cast<T>(*value);
}

} // namespace knock::grammar
