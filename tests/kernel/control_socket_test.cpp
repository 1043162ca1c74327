// SPDX-License-Identifier: GPL-2.0-or-later
// Places and turns at the control socket, and how old an answer may be. Clients of several users are one
// process: the kernel notes the effective uid at connect() (unix(7), SO_PEERCRED).
#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <list>
#include <string>

#include "ctl/control_client.hpp"
#include "keeper/control_socket.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace knock::system;
using namespace knock::ctl;

namespace {

class Client {
 public:
  Client(const std::string& path, uid_t uid) : fd_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{AF_UNIX, {}};
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::seteuid(uid) == 0);
    error_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
    REQUIRE(::seteuid(0) == 0);
  }
  [[nodiscard]] int error() const { return error_; }
  void send(std::string_view text) const { ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  /// What came, "-" when nothing did, "end" when nothing comes any more.
  [[nodiscard]] std::string heard() const {
    std::string text(kMaxReplyDatagram, '\0');
    auto size = ::recv(fd_.get(), text.data(), text.size(), 0);
    if (size < 0 && errno == ECONNRESET) size = ::recv(fd_.get(), text.data(), text.size(), 0);
    if (size < 0) return errno == EAGAIN ? "-" : std::strerror(errno);
    return size == 0 ? "end" : text.substr(0, static_cast<std::size_t>(size));
  }
  [[nodiscard]] bool told_busy() const { return heard().find("\"exit\":75") != std::string::npos; }

 private:
  Fd fd_;
  int error_ = 0;
};

/// A socket in a directory of its own, with a handler that answers what it was asked, but not "later".
struct Served {
  EventLoop loop;
  std::string directory = (std::filesystem::temp_directory_path() / "knockgate.XXXXXX").string();
  std::string path;
  std::optional<ControlSocket> socket;
  Instant now = monotonic_now();
  int asked = 0;

  Served() {
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    path = directory + "/control.sock";
    auto opened = ControlSocket::open(loop, path, std::nullopt);
    REQUIRE(opened);
    socket.emplace(std::move(*opened));
    ::chmod(directory.c_str(), 0755);
    ::chmod(path.c_str(), 0666);
    socket->serve([this](const ControlSocket::Asked& one, Instant at) -> Answer {
      const auto request = one.request;
      ++asked;
      if (request == "later") return Answer::not_before(at + Seconds{1});
      const auto size = request == "much" ? 100U : 1U;
      return std::make_shared<const std::vector<std::string>>(
          size, std::string(request == "much" ? 60'000 : 1, 'x'));
    });
  }
  ~Served() {
    socket.reset();
    std::filesystem::remove_all(directory);
  }

  /// One wake-up. Returns when the socket wants the next one.
  std::optional<Instant> wake() {
    REQUIRE(loop.wait(monotonic_now()));
    return socket->work(now);
  }
  void settle() {
    for (int i = 0; i < 50; ++i) wake();
  }
  std::list<Client> connect(int count, uid_t uid) {
    std::list<Client> clients;
    for (int i = 0; i < count; ++i) {
      REQUIRE(clients.emplace_back(path, uid).error() == 0);
      settle();
    }
    return clients;
  }
};

int busy(const std::list<Client>& clients) {
  int count = 0;
  for (const auto& client : clients) count += client.told_busy() ? 1 : 0;
  return count;
}

bool skipped() {
  if (::geteuid() == 0) return false;
  MESSAGE("skipped: needs root (or: unshare -mrun)");
  return true;
}

} // namespace

TEST_CASE("of one uid eight stay, and the oldest idle one makes place for the next") {
  if (skipped()) return;
  Served served;
  const auto others = served.connect(1, 1001);
  const auto clients = served.connect(20, 1000);
  auto client = clients.begin();
  for (int i = 0; i < 12; ++i) CHECK((client++)->told_busy());
  for (; client != clients.end(); ++client) CHECK(client->heard() == "-");
  CHECK(busy(others) == 0);
}

TEST_CASE("when all places wait for answers nobody makes place, but root has eight of its own") {
  if (skipped()) return;
  Served served;
  std::list<std::list<Client>> readers;
  for (uid_t uid = 1000; uid < 1007; ++uid) {
    readers.push_back(served.connect(8, uid));
    for (const auto& client : readers.back()) client.send("later");
    served.settle();
  }
  CHECK(busy(served.connect(1, 1000)) == 1); // its share
  CHECK(busy(served.connect(1, 1007)) == 1); // all
  const auto root = served.connect(8, 0);
  for (const auto& client : root) client.send("now");
  served.settle();
  for (const auto& client : root) CHECK(client.heard() == "x");
  for (const auto& clients : readers) CHECK(busy(clients) == 0);
  // Its ninth takes the place of its oldest idle one.
  CHECK(busy(served.connect(1, 0)) == 0);
  CHECK(root.front().told_busy());
}

TEST_CASE("one that asked and was not heard yet is not idle") {
  if (skipped()) return;
  Served served;
  std::list<Client> clients;
  for (int i = 0; i < 9; ++i) clients.emplace_back(served.path, 1000).send("now");
  served.settle();
  CHECK(clients.back().told_busy());
  clients.pop_back();
  for (const auto& client : clients) CHECK(client.heard() == "x");
}

TEST_CASE("who is new to full places takes one of the oldest idle client, whoever it is, but of root") {
  if (skipped()) return;
  Served served;
  const auto root = served.connect(8, 0);
  std::list<std::list<Client>> readers;
  for (uid_t uid = 1000; uid < 1007; ++uid) {
    readers.push_back(served.connect(8, uid));
    served.now += Millis{1};
  }
  const auto stranger = served.connect(1, 1007);
  CHECK(busy(stranger) == 0);
  CHECK(readers.front().front().told_busy());
  CHECK(busy(served.connect(1, 0)) == 0); // beyond its own: its oldest
  CHECK(busy(root) == 1);
}

TEST_CASE("idle for a minute, or slow for five seconds: dropped") {
  if (skipped()) return;
  Served served;
  const auto idle = served.connect(1, 1000);
  served.now += Seconds{58};
  const auto slow = served.connect(1, 1000);
  slow.front().send("much");
  served.settle();
  CHECK(*served.wake() == served.now + Seconds{2});
  served.now += Seconds{2};
  served.wake();
  CHECK(idle.front().heard() == "end");
  served.now += Seconds{3};
  served.settle();
  int datagrams = 0;
  for (std::string heard; (heard = slow.front().heard()) != "end"; ++datagrams)
    REQUIRE(heard.size() == 60'000);
  CHECK(datagrams < 100);
  CHECK(!served.wake());
}

TEST_CASE("each has his turn, few in a wake-up, and one request in a turn") {
  if (skipped()) return;
  Served served;
  std::list<Client> clients;
  for (uid_t uid = 1000; uid < 1004; ++uid) clients.splice(clients.end(), served.connect(8, uid));
  for (const auto& client : clients)
    for (int i = 0; i < 3; ++i) client.send("now");
  served.wake();
  CHECK(served.asked == 4);
  for (int i = 1; i < 8; ++i) served.wake();
  CHECK(served.asked == 32);
  for (const auto& client : clients) {
    CHECK(client.heard() == "x");
    CHECK(client.heard() == "-");
  }
}

TEST_CASE("who waits, or does not read, keeps nothing busy; who hangs up is forgotten") {
  if (skipped()) return;
  Served served;
  auto clients = served.connect(2, 1000);
  for (const char* request : {"later", "much"}) {
    const auto& client = request[0] == 'l' ? clients.front() : clients.back();
    client.send(request);
    client.send("now"); // unread until the first is answered
  }
  served.settle();
  const auto before = monotonic_now();
  REQUIRE(served.loop.wait(before + Millis{50}));
  CHECK(monotonic_now() - before >= Millis{50});
  CHECK(served.asked == 2);
  served.now += Seconds{1};
  served.wake();
  CHECK(served.asked == 3); // once more, and only when it is time
  clients.clear();
  served.settle();
  CHECK(!served.wake());
}

TEST_CASE("a daemon that lets nobody in any more does not answer, and is not taken for one that is gone") {
  if (skipped()) return;
  Served served;
  std::list<Client> waiting;
  while (waiting.emplace_back(served.path, 1000).error() == 0) {
  }
  CHECK(waiting.back().error() == EAGAIN);
  const auto silent = ask(served.path, {"status", {}}, Millis{50}).failure;
  CHECK(silent.exit == ExitCode::unreachable);
  CHECK(silent.text.starts_with("knockgated does not answer;"));
  // Another daemon sees that there is one.
  CHECK(ControlSocket::open(served.loop, served.path, std::nullopt).error().code == EADDRINUSE);
}

TEST_CASE("an answer is never older than the question, and made in a tenth of the time") {
  static Instant clock;
  clock = Instant{Seconds{1'000}};
  int made = 0;
  const auto make = [&] {
    clock += Millis{20};
    return std::vector{std::to_string(++made)};
  };
  Snapshot snapshot([] { return clock; });
  const auto first = snapshot.answer(clock, clock, make);
  const auto asked = clock - Millis{20};
  REQUIRE(first.datagrams);
  CHECK(first.datagrams == snapshot.answer(asked, clock, make).datagrams); // shared by all that asked before

  const auto later = clock;
  const auto again = snapshot.answer(later, clock, make);
  CHECK(!again.datagrams);
  CHECK(again.again == clock + Millis{180});
  clock += Millis{180};
  CHECK(snapshot.answer(later, clock, make).datagrams->front() == "2");

  snapshot.outdate(); // by a request
  CHECK(snapshot.answer(clock, clock, make).datagrams->front() == "3");
}

TEST_CASE("who waited a second for an answer that is dear to make gets the last one") {
  static Instant clock;
  clock = Instant{Seconds{1'000}};
  int made = 0;
  const auto make = [&] {
    clock += Millis{500};
    return std::vector{std::to_string(++made)};
  };
  Snapshot snapshot([] { return clock; });
  REQUIRE(snapshot.answer(clock, clock, make).datagrams);
  const auto asked = clock;
  CHECK(snapshot.answer(asked, clock, make).again == clock + Seconds{1});
  clock += Seconds{1};
  CHECK(snapshot.answer(asked, clock, make).datagrams->front() == "1");
  clock += Millis{3'500};
  CHECK(snapshot.answer(clock, clock, make).datagrams->front() == "2");
}
