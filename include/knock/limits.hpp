// SPDX-License-Identifier: GPL-2.0-or-later
/// Limits: the most that a config, a client, an engine or a packet may ask for, each with its unit and why.
///
/// What the kernel or a format fixes (sizes of messages, keys, words) stands where that is written; so do
/// periods, and how much of a backlog one wake-up takes.
/// Source: knockgate.toml(5) for what the config may say.
#pragma once

#include <cstddef>
#include <cstdint>

#include <knock/time.hpp>

namespace knock {

/// Both ends are allowed.
template<class T>
struct Range {
  T least, most;
};
using Count = Range<std::int64_t>;
using Span = Range<Millis>;

// ---- config: texts

inline constexpr std::size_t kMaxFile = 1U << 20U; // bytes; 10,000 doors take less
inline constexpr std::size_t kMaxDots = 500;   // of a line: dotted keys nest, and toml++ frees by recursion
inline constexpr std::size_t kMaxName = 31;    // bytes, of a door, user or device: a column of status
inline constexpr std::size_t kMaxPath = 4'095; // bytes; PATH_MAX has the NUL
inline constexpr std::size_t kMaxSocketPath = 107; // bytes; sockaddr_un holds 108 with the NUL
inline constexpr std::size_t kMaxInterface = 15;   // bytes; IFNAMSIZ has the NUL
inline constexpr std::size_t kMaxTableName = 64;   // bytes; nft takes 255

// ---- config: all doors together

inline constexpr std::size_t kMaxDoors = 10'000; // what the policy is measured with
inline constexpr std::size_t kMaxNodes = 65'535; // 16 bits of the attempt word, 0 taken
inline constexpr std::size_t kMaxEdges =
    524'288; // twice those used, a power of 2: six steps in any order take three a node
inline constexpr std::size_t kMostSessions =
    32'768;                                   // half of the set; a full one would refuse the whole guard
inline constexpr std::size_t kMaxAny = 1'024; // ports that one knock may open: elements of one grant
inline constexpr Range<std::size_t> kTrusted{0, 64};  // prefixes and interfaces, of `trust` and of `also`
inline constexpr Range<std::size_t> kAccepted{0, 64}; // names of findings; there are fewer
inline constexpr Count kNflogGroup{0, 65'532};        // four groups, numbered by 16 bits
// bytes; the least is Linux's own (rmem_default)
inline constexpr Range<std::uint32_t> kNflogBuffer{208U << 10U, 64U << 20U};
// words of 8 bytes; in fewer buckets the tag of a word would not tell all IPv4 addresses apart
inline constexpr Count kAttempts{1 << 19, 1 << 24};
inline constexpr Count kGrants{1, 4'194'304};            // of all doors; the kernel's sets hold twice as many
inline constexpr Count kPerSource{1, 1'024};             // grants of one address
inline constexpr Count kWorkers{1, 4};                   // one for each NFLOG group
inline constexpr Span kCooloff{Millis{0}, Seconds{120}}; // the clock of an attempt word spans 262 s
inline constexpr std::uint32_t kLeastShare = 64;         // grants of a door that does not say

// Elements of ranges that live at once. The kernel collects an ended one in a commit, under its lock: 256 take 47 ms.
inline constexpr std::size_t kMaxRanges = 256;

// ---- config: one door

inline constexpr Range<std::size_t> kKnock{1, 31}; // steps; more add nothing to what a scan has to guess
inline constexpr std::size_t kMaxWords =
    16'384; // kinds of steps with flags, a length or a word, of all doors
inline constexpr Range<std::size_t> kWord{1, 64};        // bytes of one
inline constexpr Count kDatagram{0, 65'507};             // bytes behind an 8-byte header; of IPv4 the most
inline constexpr std::size_t kMaxAnySteps = 6;           // order any takes 2^n - 1 nodes
inline constexpr Span kPause{Millis{200}, Seconds{60}};  // a quarter of it has to exceed the jitter of a path
inline constexpr Count kRepeats{1, 31};                  // of a step, as many as steps
inline constexpr Span kWithin{Seconds{1}, Seconds{120}}; // as kCooloff
inline constexpr Count kStrays{0, 14};                   // 4 bits of the attempt word; 15 is cooling
inline constexpr Span kReorder{Millis{0}, Millis{200}};  // what a path swaps arrives closer together
inline constexpr Range<std::size_t> kOpens{1, 16};       // entries
inline constexpr std::size_t kMaxPorts = 64; // of `opens`, an element each; of more, a range is one element
inline constexpr std::size_t kMaxPieces =
    64; // of a door, when its ranges are cut where those of others begin and end
inline constexpr std::size_t kMaxForwards = 8;                     // two elements each
inline constexpr Range<std::size_t> kUsers{0, 10'000};             // names
inline constexpr std::uint32_t kMaxStampSlots = 20'480;            // two keys of each of 10,000 devices
inline constexpr Span kOpenFor{Seconds{1}, std::chrono::days{30}}; // `for` and `max`: nothing lasts longer
inline constexpr Span kIdle{Seconds{5}, std::chrono::days{1}};     // counters are read thrice in it
inline constexpr Span kLinger{Millis{0}, std::chrono::hours{1}};
inline constexpr Count kUses{1, 1'000};                      // connections
inline constexpr Millis kMaxWithUses = std::chrono::days{7}; // then the kernel's limit gives one back
inline constexpr Span kCooldown{Millis{0}, std::chrono::days{1}};

inline constexpr Count kArgs{0, 912}; // bytes: a signed packet holds no more

// ---- config: users

inline constexpr std::size_t kMaxUsers = 10'000; // and as many devices
inline constexpr Range<std::size_t> kUserDoors{1, 64};
inline constexpr Range<std::size_t> kSources{1, 64}; // prefixes
inline constexpr Count kAddresses{1, 64};            // of a device, open at once
inline constexpr Count kOpenings{1, 1'000};
// seconds of the epoch, 2000 to 2199: in ns they fit 63 bits
inline constexpr Range<Seconds> kDates{Seconds{946'684'800}, Seconds{7'258'118'399}};
inline constexpr Range<std::size_t> kKn1Ports{1, 4};
inline constexpr Range<std::size_t> kKn1Hosts{0, 4};
inline constexpr std::size_t kMaxHost = 253;     // bytes; of a name in DNS
inline constexpr std::size_t kMaxServerKeys = 4; // a junk packet costs a hash of each

// ---- commands

inline constexpr Range<std::size_t> kCommandWords{1, 16}; // of a command
inline constexpr std::size_t kMaxWord = kMaxPath;         // bytes of one
inline constexpr std::size_t kMaxLabel = 64;              // bytes: user/device, and a door's name
inline constexpr std::size_t kMaxRunRequest =
    (kCommandWords.most + 1) * (kMaxWord + 1) + 2 * static_cast<std::size_t>(kArgs.most); // bytes
inline constexpr Span kRunTime{Seconds{1}, std::chrono::minutes{10}};
inline constexpr std::size_t kMaxCommands = 32; // that run at once, of all doors

// ---- control socket

inline constexpr std::size_t kMaxRequest = 4'096;        // bytes: a datagram
inline constexpr std::size_t kMaxReplyDatagram = 65'536; // bytes
inline constexpr std::size_t kMaxReplyLine = 60'000;     // bytes; what is longer comes in several lines
// Root reads no more of an answer than this: the daemon's user may be in other hands.
inline constexpr std::size_t kMaxStatus = 2U << 30U;              // bytes; four million grants
inline constexpr std::size_t kMaxAnswer = 1U << 20U;              // bytes, of any other verb
inline constexpr Span kTrial{Seconds{1}, std::chrono::hours{24}}; // reload --confirm T
inline constexpr std::size_t kPlaces = 64;                        // clients at once
inline constexpr std::size_t kPlacesOfRoot = 8; // of these; no other client can keep root out
inline constexpr std::size_t kPlacesOfUser = 8; // of another uid
inline constexpr Seconds kIdleClient{60};       // without a request
inline constexpr Seconds kSlowReader{5};        // with an answer that it does not take

// ---- what comes from the network or the engine

inline constexpr std::size_t kMaxExtensions = 8;       // headers of an IPv6 packet
inline constexpr std::size_t kMaxExtensionBytes = 256; // of them together; NFLOG copies 128
inline constexpr std::size_t kMaxImage = 16U
                                         << 20U;  // bytes; a policy of kMaxNodes takes 5 MiB, in any order 9
inline constexpr std::uint32_t kLeastPace = 64;   // grants a second: a small share limits what is open alone
inline constexpr std::uint32_t kAuditLines = 100; // a second, of all doors
inline constexpr std::uint32_t kAuditLinesOfDoor = 10; // the first of each: a flood hides no other door's
inline constexpr std::size_t kMaxChildLine = 512; // bytes of its stderr; escaped it is four times as long
inline constexpr Millis kMaxClock = std::chrono::years{100}; // of a time in a text: far from overflow in ns

} // namespace knock
