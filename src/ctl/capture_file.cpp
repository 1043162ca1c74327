// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/capture_file.hpp"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace knock::ctl {
namespace {

static_assert(static_cast<int>(wire::Link::raw) == DLT_RAW &&
              static_cast<int>(wire::Link::ethernet) == DLT_EN10MB &&
              static_cast<int>(wire::Link::cooked) == DLT_LINUX_SLL &&
              static_cast<int>(wire::Link::cooked2) == DLT_LINUX_SLL2 &&
              static_cast<int>(wire::Link::nflog) == DLT_NFLOG &&
              static_cast<int>(wire::Link::ipv4) == DLT_IPV4 &&
              static_cast<int>(wire::Link::ipv6) == DLT_IPV6);

constexpr std::int64_t kMostSeconds = std::int64_t{1}
                                      << 32; // of a stamp: year 2106, which fits in nanoseconds

std::chrono::nanoseconds stamp_of(const timeval& time) {
  return std::chrono::seconds(std::clamp<std::int64_t>(time.tv_sec, 0, kMostSeconds)) +
         std::chrono::nanoseconds(std::clamp<std::int64_t>(time.tv_usec, 0, 999'999'999));
}

std::string link_text(int number) {
  const char* name = ::pcap_datalink_val_to_name(number);
  return name != nullptr ? name : std::to_string(number);
}

} // namespace

void CaptureFile::Close::operator()(pcap* file) const {
  ::pcap_close(file);
}

Result<CaptureFile> CaptureFile::open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  auto* opened =
      ::pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why.data());
  if (opened == nullptr) {
    std::string text = why.data(); // names the path in some cases
    if (!text.starts_with(path)) text = fmt::format("{}: {}", path, text);
    return tl::unexpected(Error{std::move(text), 0, "name a file that tcpdump -w or Wireshark wrote"});
  }
  const int number = ::pcap_datalink(opened);
  const auto link = wire::link_of(number);
  CaptureFile file(opened, link.value_or(wire::Link::raw), path);
  if (!link)
    return tl::unexpected(
        Error{fmt::format("{}: packets of the link {} are not read", path, link_text(number)), 0,
              "record on an interface with Ethernet, or with tcpdump -i any"});
  return file;
}

Result<std::optional<Captured>> CaptureFile::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int got = ::pcap_next_ex(file_.get(), &header, &data);
  if (got == PCAP_ERROR_BREAK) return std::nullopt;
  if (got != 1) return tl::unexpected(Error{fmt::format("{}: {}", path_, ::pcap_geterr(file_.get())), 0, ""});
  return Captured{stamp_of(header->ts),
                  {reinterpret_cast<const std::byte*>(data), header->caplen},
                  header->len - std::min(header->len, header->caplen)};
}

} // namespace knock::ctl
