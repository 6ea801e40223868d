// SPDX-License-Identifier: MIT
// System calls that fail when a test wants it, and a record of them from which follows what a power cut may leave on a disk.
#pragma once

#include <fulgurite/detail/posix_file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace support {

/// Wraps each system call of the library's files while it lives; one at a time.
class WatchedCalls {
  static WatchedCalls*& active() {
    static WatchedCalls* one = nullptr;
    return one;
  }

  template <class Call>
  static auto made(const char* name, const Call& call) {
    return made(name, call, [](auto) {});
  }
  template <class Call, class Then>
  static auto made(const char* name, const Call& call, const Then& then)
      -> decltype(call(std::declval<fulgurite::detail::SystemCalls&>())) {
    if (const int error = active()->before_(name)) {
      errno = error;
      return -1;
    }
    const auto result = call(active()->original_);
    const int error = errno;
    if (result >= 0) then(result);
    errno = error;
    return result;
  }

 public:
  /// Called before each system call. An error that it returns is the call's; the call is not made then.
  using Before = std::function<int(const char* name)>;
  /// Called after each system call that went well, with its arguments.
  struct After {
    std::function<void(const std::string& path, int flags, int file)> opened = [](auto&&...) {};
    std::function<void(int file, std::string bytes)> written = [](auto&&...) {};
    std::function<void(int file)> synced = [](auto&&...) {}, closed = [](auto&&...) {};
    std::function<void(const std::string& from, const std::string& to)> renamed = [](auto&&...) {};
    std::function<void(const std::string&path)> unlinked = [](auto&&...) {}, folder_made = [](auto&&...) {};
  };

  explicit WatchedCalls(Before before) : WatchedCalls(std::move(before), After()) {}
  WatchedCalls(Before before, After after) {
    active() = this;
    before_ = std::move(before);
    after_ = std::move(after);
    auto& calls = fulgurite::detail::system_calls;
    calls.open = [](const char* path, int flags, mode_t mode) {
      return made(
          "open", [&](auto& original) { return original.open(path, flags, mode); },
          [&](int file) { active()->after_.opened(path, flags, file); });
    };
    calls.duplicate = [](int file) { return made("duplicate", [&](auto& original) { return original.duplicate(file); }); };
    calls.lock = [](int file) { return made("lock", [&](auto& original) { return original.lock(file); }); };
    calls.stat = [](const char* path, struct ::stat* status) {
      return made("stat", [&](auto& original) { return original.stat(path, status); });
    };
    calls.fstat = [](int file, struct ::stat* status) {
      return made("fstat", [&](auto& original) { return original.fstat(file, status); });
    };
    calls.fchmod = [](int file, mode_t mode) {
      return made("fchmod", [&](auto& original) { return original.fchmod(file, mode); });
    };
    calls.pread = [](int file, void* data, std::size_t size, off_t at) {
      return made("pread", [&](auto& original) { return original.pread(file, data, size, at); });
    };
    calls.write = [](int file, const void* data, std::size_t size) {
      return made(
          "write",
          [&](auto& original) {
            const bool is_short = std::exchange(active()->writes_half_, false) && size > 1;
            return original.write(file, data, is_short ? size / 2 : size);
          },
          [&](ssize_t count) {
            active()->after_.written(file, {static_cast<const char*>(data), static_cast<std::size_t>(count)});
          });
    };
    calls.ftruncate = [](int file, off_t size) {
      return made("ftruncate", [&](auto& original) { return original.ftruncate(file, size); });
    };
    calls.fsync = [](int file) {
      return made(
          "fsync", [&](auto& original) { return original.fsync(file); }, [&](int) { active()->after_.synced(file); });
    };
    // It closes the file even if it reports an error.
    calls.close = [](int file) {
      const int error = active()->before_("close");
      const int result = active()->original_.close(file);
      active()->after_.closed(file);
      if (error == 0) return result;
      errno = error;
      return -1;
    };
    calls.rename = [](const char* from, const char* to) {
      return made(
          "rename", [&](auto& original) { return original.rename(from, to); },
          [&](int) { active()->after_.renamed(from, to); });
    };
    calls.unlink = [](const char* path) {
      return made(
          "unlink", [&](auto& original) { return original.unlink(path); }, [&](int) { active()->after_.unlinked(path); });
    };
    calls.mkdir = [](const char* path, mode_t mode) {
      return made(
          "mkdir", [&](auto& original) { return original.mkdir(path, mode); },
          [&](int) { active()->after_.folder_made(path); });
    };
  }
  WatchedCalls(const WatchedCalls&) = delete;
  WatchedCalls& operator=(const WatchedCalls&) = delete;
  ~WatchedCalls() { fulgurite::detail::system_calls = original_; }

  /// The next write takes the half of what it is given.
  void write_half() { writes_half_ = true; }

 private:
  fulgurite::detail::SystemCalls original_ = fulgurite::detail::system_calls;
  Before before_;
  After after_;
  bool writes_half_ = false;
};

/// One system call of `act` fails; which one, and how. With `EAGAIN` nothing fails, but a write takes only half.
struct Failure {
  int number;
  int error;
  std::string call{};  ///< its name, once it has failed

  /// Returns whether there was such a call.
  template <class Act>
  bool during(const Act& act) {
    int seen = 0;
    WatchedCalls* watched = nullptr;
    WatchedCalls calls([&](const char* name) {
      if (++seen != number) return 0;
      call = name;
      if (error != EAGAIN) return error;
      if (call == "write") watched->write_half();
      return 0;
    });
    watched = &calls;
    act();
    return !call.empty();
  }
};

/// One system call is another while it lives: `Replaced read(system_calls.pread, [](...) { ... })`.
template <class Call>
class Replaced {
 public:
  Replaced(Call& call, std::type_identity_t<Call> by) : call_(&call), original_(std::exchange(call, by)) {}
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;
  ~Replaced() { *call_ = original_; }

 private:
  Call* call_;
  Call original_;
};

/// Nothing waits for the disk while it lives: for tests that save often.
struct WithoutSync {
  Replaced<int (*)(int)> sync{fulgurite::detail::system_calls.fsync, [](int) { return 0; }};
};

/// No write gets a byte onto the disk while it lives.
struct FullDisk {
  WatchedCalls calls{[](const char* name) { return std::string_view(name) == "write" ? ENOSPC : 0; }};
};

/// While it lives the disk has room for that many bytes.
class LittleRoom {
  static inline std::size_t left = 0;
  Replaced<ssize_t (*)(int, const void*, std::size_t)> write_{
      fulgurite::detail::system_calls.write, [](int file, const void* data, std::size_t size) -> ssize_t {
        if (left == 0) {
          errno = ENOSPC;
          return -1;
        }
        const ssize_t count = ::write(file, data, std::min(size, left));
        if (count > 0) left -= static_cast<std::size_t>(count);
        return count;
      }};

 public:
  explicit LittleRoom(std::size_t bytes) { left = bytes; }
};

/// A disk that keeps what was synced, and of the rest some. It learns what is written while it lives.
class UnsafeDisk {
 public:
  using Files = std::map<std::string, std::string>;  ///< contents by path

  explicit UnsafeDisk(std::function<void()> check)
      : check_(std::move(check)),
        calls_([](const char*) { return 0; },
               [this] {
                 WatchedCalls::After after;
                 after.opened = [this](const std::string& path, int flags, int file) { open(path, flags, file); };
                 after.written = [this](int file, const std::string& bytes) {
                   open_files_.at(file)->now += bytes;
                   check_();
                 };
                 after.synced = [this](int file) { sync(file); };
                 after.closed = [this](int file) {
                   open_files_.erase(file);
                   open_folders_.erase(file);
                 };
                 after.renamed = [this](const std::string& from, const std::string& to) {
                   change({folder_of(to), [from, to, moved = names_.at(from)](Entries& entries) {
                             entries[to] = moved;
                             entries.erase(from);
                           }});
                 };
                 after.unlinked = [this](const std::string& path) {
                   change({folder_of(path), [path](Entries& entries) { entries.erase(path); }});
                 };
                 after.folder_made = [this](const std::string& path) {
                   folders_.insert(path);
                   change({folder_of(path), [path](Entries& entries) { entries[path] = nullptr; }});
                 };
                 return after;
               }()) {}

  /// Calls `look(files)` with each state of the disk that a power cut may leave now.
  void after_a_power_cut(const std::function<void(const Files&)>& look) const {
    const std::size_t subsets = std::size_t{1} << pending_.size();
    for (std::size_t subset = 0; subset < subsets; ++subset) {
      Entries entries = synced_;
      for (std::size_t i = 0; i < pending_.size(); ++i) {
        if ((subset >> i & 1U) != 0) pending_[i].apply(entries);
      }
      for (const int unsynced : {0, 1, 2}) {  // nothing, the half, all of what was not synced
        Files files;
        for (const auto& [path, file] : entries) {
          if (!file || !is_reachable(path, entries)) continue;
          const auto more = file->now.size() - file->synced;
          files[path] = file->now.substr(0, file->synced + more * static_cast<std::size_t>(unsynced) / 2);
        }
        look(files);
      }
    }
  }

 private:
  struct File {
    std::string now;         // as the process sees it
    std::size_t synced = 0;  // how many of these bytes are on the disk
  };
  using Entries = std::map<std::string, std::shared_ptr<File>>;
  struct Change {
    std::string folder;
    std::function<void(Entries&)> apply;
  };

  static std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

  void open(const std::string& path, int flags, int file) {
    if ((flags & O_DIRECTORY) != 0) {
      open_folders_[file] = path;
    } else if ((flags & O_CREAT) != 0) {
      auto made = std::make_shared<File>();
      open_files_[file] = made;
      change({folder_of(path), [path, made](Entries& entries) { entries[path] = made; }});
    }
  }
  bool is_reachable(const std::string& path, const Entries& entries) const {
    return std::ranges::all_of(
        folders_, [&](const std::string& folder) { return !path.starts_with(folder + '/') || entries.contains(folder); });
  }
  void change(Change change) {
    change.apply(names_);
    pending_.push_back(std::move(change));
    check_();
  }
  void sync(int file) {
    if (const auto folder = open_folders_.find(file); folder != open_folders_.end()) {
      std::vector<Change> others;
      for (Change& change : pending_) {
        if (change.folder == folder->second) {
          change.apply(synced_);
        } else {
          others.push_back(std::move(change));
        }
      }
      pending_ = std::move(others);
    } else {
      open_files_.at(file)->synced = open_files_.at(file)->now.size();
    }
    check_();
  }

  std::function<void()> check_;
  Entries names_, synced_;         // as the process sees them, and on the disk
  std::set<std::string> folders_;  // that were made meanwhile
  std::vector<Change> pending_;
  std::map<int, std::shared_ptr<File>> open_files_;
  std::map<int, std::string> open_folders_;
  WatchedCalls calls_;
};

}  // namespace support
