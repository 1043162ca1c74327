// SPDX-License-Identifier: GPL-2.0-or-later
/// Kn1Vectors: packaging/kn1-vectors.txt, and the three devices in it.
#pragma once

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <knock/kn1_client.hpp>
#include <knock/result.hpp>

namespace knock::kn1 {

using Raw = std::vector<std::uint8_t>;

inline Raw from_hex(const std::string& text) {
  Raw bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

template<std::size_t Size = 32>
std::array<std::uint8_t, Size> array_from_hex(const std::string& text) {
  const auto bytes = from_hex(text);
  KNOCK_ASSERT(bytes.size() == Size);
  std::array<std::uint8_t, Size> array{};
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

/// One block of the file: its first word's value by that word, and so on.
struct Vector {
  std::map<std::string, std::string> values;

  [[nodiscard]] const std::string& operator[](const std::string& key) const { return values.at(key); }
  [[nodiscard]] Raw packet() const { return from_hex(values.at("PACKET")); }
  [[nodiscard]] bool refused() const { return values.count("REFUSE") != 0; }
  [[nodiscard]] const std::string& name() const { return values.at(refused() ? "REFUSE" : "NAME"); }
};

struct Kn1Vectors {
  explicit Kn1Vectors(const std::string& path) {
    std::ifstream file(path);
    Vector block;
    for (std::string line; std::getline(file, line);) {
      if (line.empty() && !block.values.empty()) all.push_back(std::exchange(block, {}));
      const auto blank = line.find(' ');
      if (!line.empty() && line[0] != '#') block.values[line.substr(0, blank)] = line.substr(blank + 1);
    }
    if (!block.values.empty()) all.push_back(block);
    KNOCK_ASSERT(all.size() > 1);
    keys = all.front();
    all.erase(all.begin());
    server = make_server_key(secret("SERVER_PRIV"), secret("HIDE_KEY"));
    devices = {device("ALICE", Mode::signed_key), device("BOB", Mode::symmetric),
               device("CAROL", Mode::symmetric)};
    devices[0].seed = secret("ALICE_ED25519_SEED");
    devices[2].psk = secret("CAROL_PSK");
  }

  [[nodiscard]] Secret secret(const std::string& name) const { return Secret(array_from_hex(keys[name])); }
  [[nodiscard]] Public pub(const std::string& name) const { return array_from_hex(keys[name]); }
  [[nodiscard]] const Device* find(const Kid& kid) const {
    for (const auto& one : devices)
      if (one.kid == kid) return &one;
    return nullptr;
  }

  Vector keys;
  std::vector<Vector> all;
  ServerKey server;
  std::vector<Device> devices; ///< Alice, Bob, Carol

 private:
  [[nodiscard]] Device device(const std::string& who, Mode mode) const {
    Device one;
    one.kid.bytes = array_from_hex<8>(keys[who + "_KID"]);
    one.secret = one.psk = secret(who + "_D");
    one.mode = mode;
    return one;
  }
};

} // namespace knock::kn1
