// SPDX-License-Identifier: MIT
// What the library says without ending anything: one line where a call does nothing, or something else than it seems to ask
// for.
#pragma once

#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace fulgurite {

/// Takes a notice: one sentence, without the end of a line.
using NoticeHandler = std::function<void(std::string_view)>;

namespace detail {

struct Notices {
  std::mutex mutex;
  NoticeHandler handler;  // empty: the standard error stream
};

inline Notices& notices() {
  static Notices all;
  return all;
}

/// Says `text`, which begins with "fulgurite: ". For cold places only.
inline void notice(const std::string& text) {
  NoticeHandler handler;
  {
    const std::lock_guard lock(notices().mutex);
    handler = notices().handler;
  }
  if (handler) return handler(text);
  std::fputs((text + "\n").c_str(), stderr);
}

}  // namespace detail

/// Gives all notices of the program to `handler` instead of writing them to the standard error stream, and returns the
/// handler before. `fg::set_notice_handler([](std::string_view) {})` silences them; an empty handler writes them again. The
/// handler is called in the thread that trains; what it throws leaves the call that gave the notice.
inline NoticeHandler set_notice_handler(NoticeHandler handler) {
  const std::lock_guard lock(detail::notices().mutex);
  return std::exchange(detail::notices().handler, std::move(handler));
}

}  // namespace fulgurite
