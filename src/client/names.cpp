// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/names.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include <knock/binding.hpp>

#include "system/event_loop.hpp"
#include "system/socket_address.hpp"

namespace knock::client {
namespace {

constexpr Millis kLook{50};           // so often it is looked whether to go on waiting
constexpr Millis kPatienceNat64{500}; // a network that translates has this answer at hand

struct Answer {
  std::vector<Address> addresses;
  std::string reason;
};

Answer ask(const std::string& host, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return {{}, error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
  Answer answer;
  for (const auto* one = all.get(); one != nullptr; one = one->ai_next)
    if (const auto address = system::address_of(*one->ai_addr); address) answer.addresses.push_back(*address);
  return answer;
}

/// Asked in a thread that may outlive who asked.
class Question {
 public:
  Question(const std::string& host, int family) : shared_(std::make_shared<Shared>()) {
    // Signals are for the thread that knows what to close.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([shared = shared_, host, family] {
        auto answer = ask(host, family);
        const std::lock_guard lock(shared->mutex);
        shared->answer = std::move(answer);
        shared->answered.notify_one();
      }).detach();
    } catch (const std::system_error& error) { // no more threads for this user
      shared_->answer = Answer{{}, error.code().message()};
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  /// Nothing: none in time.
  std::optional<Answer> wait(Instant until, const std::function<bool()>& stop = {}) {
    std::unique_lock lock(shared_->mutex);
    for (auto now = system::monotonic_now(); now < until && !(stop && stop()); now = system::monotonic_now())
      if (shared_->answered.wait_for(lock, std::min<std::chrono::nanoseconds>(until - now, kLook),
                                     [&] { return shared_->answer.has_value(); }))
        break;
    return shared_->answer;
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Answer> answer;
  };
  std::shared_ptr<Shared> shared_;
};

} // namespace

Resolved resolve(const std::vector<std::string>& hosts, const ClientLine& given,
                 const std::function<bool()>& stop) {
  const int family = given.only4 ? AF_INET : given.only6 ? AF_INET6 : AF_UNSPEC;
  Resolved resolved;
  const auto add = [&](const Address& address) {
    const bool wanted = address.family == Family::ipv4 ? !given.only6 : !given.only4;
    auto& all = resolved.addresses;
    if (wanted && all.size() < kMostAddresses && std::find(all.begin(), all.end(), address) == all.end())
      all.push_back(address);
  };
  const auto until = system::monotonic_now() + given.timeout;
  // All at once: one that is not answered leaves the others their time.
  std::map<std::string, Question> questions;
  for (const auto& host : hosts)
    if (!parse_address(host)) questions.try_emplace(host, host, family);
  for (const auto& host : hosts) {
    if (const auto address = parse_address(host)) {
      add(*address);
      continue;
    }
    const auto answer = questions.at(host).wait(until, stop);
    if (!answer) resolved.reason = "no answer of the resolver in time";
    if (answer && !answer->reason.empty()) resolved.reason = answer->reason;
    if (answer) std::for_each(answer->addresses.begin(), answer->addresses.end(), add);
  }
  if (resolved.addresses.empty() && resolved.reason.empty())
    resolved.reason = given.only4 ? "none of IPv4" : "none of IPv6";
  return resolved;
}

std::vector<Prefix> nat64_prefixes() {
  std::vector<Prefix> prefixes;
  // The name that has addresses of IPv4 alone: where it has one of IPv6, the network made it.
  if (const auto answer = Question("ipv4only.arpa", AF_INET6).wait(system::monotonic_now() + kPatienceNat64))
    for (const auto& address : answer->addresses)
      if (const auto prefix = nat64_prefix(address)) prefixes.push_back(*prefix);
  return prefixes;
}

} // namespace knock::client
