// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <qrencode.h>
#include <sodium/utils.h>

#include <knock/line.hpp>

#include "ctl/print_line.hpp"

namespace knock::ctl {
namespace {

constexpr int kQuiet = 4; // modules of light around it: ISO/IEC 18004

struct Free {
  void operator()(QRcode* code) const {
    sodium_memzero(code->data, static_cast<std::size_t>(code->width) * static_cast<std::size_t>(code->width));
    QRcode_free(code);
  }
};

} // namespace

std::string qr_text(std::string_view line) {
  if (line.size() > kQrLine) return {};
  std::string text(line);
  const std::unique_ptr<QRcode, Free> code(QRcode_encodeString(text.c_str(), 0, QR_ECLEVEL_L, QR_MODE_8, 1));
  sodium_memzero(text.data(), text.size());
  if (!code) return {};
  const int width = code->width;
  const auto dark = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < width && (code->data[y * width + x] & 1U) != 0;
  };
  // Two rows a line, black on white whatever the terminal's colours.
  std::string shown;
  for (int y = -kQuiet; y < width + kQuiet; y += 2) {
    shown += "\x1b[30;107m";
    for (int x = -kQuiet; x < width + kQuiet; ++x) {
      const bool upper = dark(x, y), lower = dark(x, y + 1);
      shown += upper && lower ? "\u2588" : upper ? "\u2580" : lower ? "\u2584" : " ";
    }
    shown += "\x1b[0m\n";
  }
  return shown;
}

} // namespace knock::ctl
