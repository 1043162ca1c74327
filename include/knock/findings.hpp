// SPDX-License-Identifier: GPL-2.0-or-later
/// Findings: what is wrong with a config, or with the host for it, and where.
///
/// A warning has a name, for `[check] accept`. Names never change; knockgate.toml(5) explains each.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

/// Where something stands. Lines and columns count from 1; 0 = the file as a whole.
struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Finding {
  enum class Level : std::uint8_t { error, warning };
  Level level = Level::error;
  Place place;
  std::string text;        ///< what is wrong: `unknown key "knok"`
  std::string advice;      ///< what to do: `did you mean "knock"?`
  std::string_view name{}; ///< of a warning: one of kFindings
};

/// `FILE:LINE:COL: warning: text [name]; advice`, one line.
std::string to_string(const Finding& finding);

namespace finding {
// of the config alone
inline constexpr std::string_view kNoKnock = "no-knock";
inline constexpr std::string_view kWeakKnock = "weak-knock";
inline constexpr std::string_view kKnockPrefix = "knock-prefix";
inline constexpr std::string_view kNoIpv4Target = "no-ipv4-target";
inline constexpr std::string_view kNoIpv6Target = "no-ipv6-target";
inline constexpr std::string_view kNoTrust = "no-trust";
inline constexpr std::string_view kRunWord = "run-word";
inline constexpr std::string_view kOwnPorts = "own-ports";
inline constexpr std::string_view kNoDevice = "no-device";
inline constexpr std::string_view kNoDoor = "no-door";
inline constexpr std::string_view kSymmetric = "symmetric";
inline constexpr std::string_view kUnbound = "unbound";
inline constexpr std::string_view kInviteEnded = "invite-ended";
inline constexpr std::string_view kAccessEnded = "access-ended";
inline constexpr std::string_view kRunUnbound = "run-unbound";
inline constexpr std::string_view kNoServerKey = "no-server-key";
// of the host
inline constexpr std::string_view kNoForwarding = "no-forwarding";
inline constexpr std::string_view kFlowtable = "flowtable";
inline constexpr std::string_view kNoFlowEvents = "no-flow-events";
inline constexpr std::string_view kShortFlows = "short-flows";
inline constexpr std::string_view kDoorDropped = "door-dropped";
inline constexpr std::string_view kKnockDropped = "knock-dropped";
inline constexpr std::string_view kRedirect = "redirect";
inline constexpr std::string_view kNotrack = "notrack";
inline constexpr std::string_view kNotJudged = "not-judged";
inline constexpr std::string_view kNoInterface = "no-interface";
inline constexpr std::string_view kNoRoute = "no-route";
inline constexpr std::string_view kRunFile = "run-file";
inline constexpr std::string_view kBootFile = "boot-file";
inline constexpr std::string_view kNotReadable = "not-readable";
inline constexpr std::string_view kOpenStep = "open-step";
inline constexpr std::string_view kKn1Port = "kn1-port";
} // namespace finding

inline constexpr std::array kFindings{
    finding::kNoKnock,      finding::kWeakKnock,    finding::kKnockPrefix,  finding::kNoIpv4Target,
    finding::kNoIpv6Target, finding::kNoTrust,      finding::kRunWord,      finding::kOwnPorts,
    finding::kNoForwarding, finding::kFlowtable,    finding::kNoFlowEvents, finding::kShortFlows,
    finding::kDoorDropped,  finding::kKnockDropped, finding::kRedirect,     finding::kNotrack,
    finding::kNotJudged,    finding::kNoInterface,  finding::kNoRoute,      finding::kRunFile,
    finding::kBootFile,     finding::kNotReadable,  finding::kOpenStep,     finding::kNoDevice,
    finding::kNoDoor,       finding::kSymmetric,    finding::kUnbound,      finding::kInviteEnded,
    finding::kAccessEnded,  finding::kRunUnbound,   finding::kNoServerKey,  finding::kKn1Port};

/// Leaves out what `[check] accept` names.
void drop_accepted(std::vector<Finding>& findings, const std::vector<std::string>& accept);

} // namespace knock
