// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/answer.hpp"

#include <algorithm>

namespace knock::keeper {

Answer Answer::not_before(Instant at) {
  Answer answer{Datagrams{}};
  answer.again = at;
  return answer;
}

Answer Snapshot::answer(Instant asked, Instant now, const Make& make) {
  if (datagrams_) {
    if (made_ >= asked) return datagrams_;
    const auto patient_until = asked + kPatience;
    if (now < next_)
      return now < patient_until ? Answer::not_before(std::min(next_, patient_until)) : datagrams_;
  }
  const auto begun = clock_();
  datagrams_ = std::make_shared<const std::vector<std::string>>(make());
  made_ = now;
  const auto done = clock_();
  next_ = done + (kTenth - 1) * (done - begun);
  return datagrams_;
}

} // namespace knock::keeper
