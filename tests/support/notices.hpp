// SPDX-License-Identifier: MIT
// What the library says while a scope lives, instead of on the standard error stream.
#pragma once

#include <fulgurite/logging/notice.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

struct Notices {
  std::vector<std::string> all;

  Notices() : before_(fulgurite::set_notice_handler([this](std::string_view text) { all.emplace_back(text); })) {}
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;
  ~Notices() { fulgurite::set_notice_handler(std::move(before_)); }

  /// All of them, a line each.
  std::string text() const {
    std::string lines;
    for (const std::string& each : all) lines += each + "\n";
    return lines;
  }

 private:
  fulgurite::NoticeHandler before_;
};

}  // namespace support
