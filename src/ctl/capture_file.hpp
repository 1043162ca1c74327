// SPDX-License-Identifier: GPL-2.0-or-later
/// Capture file: the packets of a recording, one after the other, by libpcap.
///
/// In:     a path of a pcap or pcapng file.   Out: each packet with its time; nothing is kept of it.
/// Source: pcap(3), pcap_open_offline(3).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <knock/result.hpp>

#include "wire/frame.hpp"

struct pcap;

namespace knock::ctl {

/// Valid until the next one is read.
struct Captured {
  std::chrono::nanoseconds stamp{}; ///< since the epoch
  std::span<const std::byte> bytes; ///< from its link's header on
  std::size_t missing = 0;          ///< bytes of it that the recording left out
};

class CaptureFile {
 public:
  /// Errors: no such file, no recording, a link that is not read.
  static Result<CaptureFile> open(const std::string& path);

  [[nodiscard]] wire::Link link() const { return link_; }
  /// Nothing: that was all. Errors: it ends within a packet, or is damaged.
  Result<std::optional<Captured>> next();

 private:
  struct Close {
    void operator()(pcap* file) const;
  };
  CaptureFile(pcap* file, wire::Link link, std::string path)
      : file_(file), link_(link), path_(std::move(path)) {}

  std::unique_ptr<pcap, Close> file_;
  wire::Link link_;
  std::string path_;
};

} // namespace knock::ctl
