// SPDX-License-Identifier: MIT
// Files by POSIX calls, each of which is checked: files that appear whole or not at all, and what log files need. A port to
// another system replaces this header.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace fulgurite::detail {

/// The system calls of this header. Tests replace them, to make one fail or to note what is done.
struct SystemCalls {
  int (*open)(const char*, int, mode_t) = [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); };
  int (*duplicate)(int) = [](int file) { return ::fcntl(file, F_DUPFD_CLOEXEC, 0); };
  int (*lock)(int) = [](int file) { return ::flock(file, LOCK_EX | LOCK_NB); };
  int (*stat)(const char*, struct ::stat*) = [](const char* path, struct ::stat* status) { return ::stat(path, status); };
  int (*fstat)(int, struct ::stat*) = [](int file, struct ::stat* status) { return ::fstat(file, status); };
  int (*fchmod)(int, mode_t) = ::fchmod;
  ssize_t (*pread)(int, void*, std::size_t, off_t) = ::pread;
  ssize_t (*write)(int, const void*, std::size_t) = ::write;
  int (*ftruncate)(int, off_t) = ::ftruncate;
  int (*fsync)(int) = ::fsync;
  int (*close)(int) = ::close;
  int (*rename)(const char*, const char*) = ::rename;
  int (*unlink)(const char*) = ::unlink;
  int (*mkdir)(const char*, mode_t) = ::mkdir;
};
inline SystemCalls system_calls;

/// What could not be done with which file, and the system's reason.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string reason(int error) {
  return std::generic_category().message(error);
}

/// `did` comes with its blank: "cannot write ".
[[noreturn]] inline void throw_file_error(int error, const char* did, const std::string& path) {
  throw FileError(did + path + ": " + reason(error));
}

/// A system call that is made again if a signal came first.
template <class Result, class... Parameters, class... Arguments>
Result uninterrupted(Result (*call)(Parameters...), Arguments... arguments) {
  Result result = call(arguments...);
  while (result == -1 && errno == EINTR) result = call(arguments...);
  return result;
}

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

  /// Returns 0, or the error that an earlier write may have met only now.
  int close() {
    const int number = std::exchange(number_, -1);
    // After a signal it is closed all the same; closing it again might hit another thread's file.
    return number < 0 || system_calls.close(number) == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int number_ = -1;
};

/// A descriptor that is not open, and errno, if the file cannot be opened.
inline Descriptor opened(const std::string& path, int flags, mode_t mode = 0666) {
  return Descriptor(uninterrupted(system_calls.open, path.c_str(), flags | O_CLOEXEC, mode));
}

/// Writes, and returns how many bytes the file took. If it did not take all, errno says why.
inline std::size_t write_bytes(int file, const char* data, std::size_t size) {
  constexpr std::size_t at_once = std::size_t{1} << 30U;  // Linux takes no more than 2 GiB in one call
  std::size_t taken = 0;
  while (taken < size) {
    const ssize_t count = uninterrupted(system_calls.write, file, data + taken, std::min(size - taken, at_once));
    if (count < 0) break;
    if (count == 0) {
      errno = EIO;
      break;
    }
    taken += static_cast<std::size_t>(count);
  }
  return taken;
}

/// Brings a file or folder to the disk. Returns 0 or the error. Some file systems cannot do so, and say that it is invalid.
inline int sync(const Descriptor& file) {
  if (uninterrupted(system_calls.fsync, file.number()) == 0 || errno == EINVAL || errno == EOPNOTSUPP) return 0;
  return errno;
}

inline std::string folder_of(const std::string& path) {
  const auto slash = path.find_last_not_of('/', path.find_last_of('/'));
  if (path.find('/') == std::string::npos) return ".";
  return slash == std::string::npos ? "/" : path.substr(0, slash + 1);
}

inline Descriptor opened_folder(const std::string& folder) {
  Descriptor opened_one = opened(folder, O_RDONLY | O_DIRECTORY);
  if (!opened_one) throw_file_error(errno, "cannot open the folder ", folder);
  return opened_one;
}

inline bool is_folder(const std::string& path) {
  struct ::stat status {};
  if (uninterrupted(system_calls.stat, path.c_str(), &status) == 0) return S_ISDIR(status.st_mode);
  if (errno != ENOENT && errno != ENOTDIR) throw_file_error(errno, "cannot look at ", path);
  return false;
}

/// Makes a folder and those above it that are not there, so that they are there after a power cut, too.
inline void make_folders(const std::string& folder) {
  if (folder.empty() || is_folder(folder)) return;
  const std::string above = folder_of(folder);
  if (above != folder) make_folders(above);
  uninterrupted(system_calls.mkdir, folder.c_str(), mode_t{0777});
  const int error = errno;
  if (!is_folder(folder)) throw_file_error(error, "cannot make the folder ", folder);  // others may have made it
  if (const int failure = sync(opened_folder(above))) throw_file_error(failure, "cannot sync the folder ", above);
}

/// Removes a file, if it is there.
inline void remove_file(const std::string& path) {
  if (uninterrupted(system_calls.unlink, path.c_str()) == 0 || errno == ENOENT) return;
  throw_file_error(errno, "cannot remove ", path);
}

/// The same for the folder of a file, which is opened.
inline Descriptor made_folder_of(const std::string& file) {
  make_folders(folder_of(file));
  return opened_folder(folder_of(file));
}

/// A file that appears whole or not at all, even if the process is killed or the power is cut meanwhile: it is written
/// beside its place under a name of its own, brought to the disk and then renamed. Its folder is made if there is none. If
/// threads or processes write to one place at the same time, the file that is renamed last stays.
///
/// A path that is a symbolic link stays one: the file that it leads to is replaced. The permissions of a replaced file are
/// kept. All functions throw FileError; the old file is then as it was, unless the message says that the new one is in its
/// place.
class NewFile {
 public:
  explicit NewFile(const std::string& path) : place_(link_end(path)), folder_(made_folder_of(place_)) {
    const mode_t permissions = permissions_of(path);
    remove_abandoned();
    while (!make_beside(permissions)) {
    }
  }

  void write(const void* data, std::size_t size) {
    constexpr std::size_t at_once = std::size_t{1} << 16U;
    const auto* bytes = static_cast<const char*>(data);
    if (buffer_.size() + size >= at_once) flush();
    if (size >= at_once) {
      write_through(bytes, size);
    } else {
      buffer_.append(bytes, size);
    }
  }

  /// Puts the file into its place. It is on the disk when this returns.
  void put_in_place() {
    flush();
    if (const int error = sync(file_)) throw_file_error(error, "cannot sync ", beside_.path);
    if (const int error = file_.close()) throw_file_error(error, "cannot close ", beside_.path);
    if (uninterrupted(system_calls.rename, beside_.path.c_str(), place_.c_str()) != 0) {
      throw_file_error(errno, "cannot rename ", beside_.path);
    }
    beside_.path.clear();
    if (const int error = sync(folder_)) {
      throw FileError("the new file is in its place, but a power cut could undo that: cannot sync " + folder_of(place_) +
                      ": " + reason(error));
    }
  }
  bool is_in_place() const { return beside_.path.empty(); }

 private:
  static constexpr std::string_view mark = ".fulgurite-", ending = ".part";

  struct Beside {
    std::string path;
    Beside() = default;
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    ~Beside() { remove(); }
    void remove() {
      if (!path.empty()) uninterrupted(system_calls.unlink, path.c_str());
      path.clear();
    }
  };

  void flush() {
    write_through(buffer_.data(), buffer_.size());
    buffer_.clear();
  }
  void write_through(const char* bytes, std::size_t size) {
    if (write_bytes(file_.number(), bytes, size) != size) throw_file_error(errno, "cannot write ", beside_.path);
  }

  /// Where the symbolic links that begin at `path` end; there need be no file.
  static std::string link_end(std::string path) {
    for (int links = 0; links <= 40; ++links) {  // Linux follows 40
      char text[4096];
      const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
      if (size == -1) return path;
      const std::string to(text, static_cast<std::size_t>(size));
      path = to.starts_with('/') ? to : folder_of(path) + '/' + to;
    }
    throw_file_error(ELOOP, "cannot follow the symbolic link ", path);
  }

  /// Permissions of the file that is to be replaced; 0 if there is none. Throws FileError for what a file cannot replace.
  static mode_t permissions_of(const std::string& path) {
    struct ::stat status {};
    if (uninterrupted(system_calls.stat, path.c_str(), &status) != 0) {
      if (errno == ENOENT) return 0;
      throw_file_error(errno, "cannot look at ", path);
    }
    if (S_ISDIR(status.st_mode)) throw FileError(path + " is a folder");
    if (!S_ISREG(status.st_mode)) throw FileError(path + " is a device, a pipe or a socket, which a file cannot replace");
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) throw_file_error(errno, "cannot replace ", path);
    return status.st_mode & 0777U;
  }

  /// Returns false if another name must be tried.
  bool make_beside(mode_t permissions) {
    static std::atomic<unsigned> count = 0;
    beside_.remove();
    const std::string base = place_.substr(place_.rfind('/') + 1);
    if (base.empty()) throw FileError("the path names no file");
    const std::string end =
        std::string(mark) + std::to_string(::getpid()) + '-' + std::to_string(count++) + std::string(ending);
    const std::string path = folder_of(place_) + '/' + base.substr(0, 255 - end.size()) + end;
    file_ = opened(path, O_WRONLY | O_CREAT | O_EXCL, permissions != 0 ? permissions : 0666);
    if (!file_ && errno == EEXIST) return false;  // of a process that has the same number on another machine
    if (!file_) throw_file_error(errno, "cannot make ", path);
    beside_.path = path;
    // The lock says that the file is being written, until it is renamed. It belongs to both descriptors: the first one is
    // closed before, since its close may report an error.
    lock_ = Descriptor(uninterrupted(system_calls.duplicate, file_.number()));
    if (!lock_) throw_file_error(errno, "cannot make ", path);
    if (uninterrupted(system_calls.lock, lock_.number()) != 0 && errno == EWOULDBLOCK) return false;
    struct ::stat status {};
    if (uninterrupted(system_calls.fstat, file_.number(), &status) != 0) throw_file_error(errno, "cannot look at ", path);
    if (status.st_nlink == 0) return false;  // removed as an abandoned one before it was locked
    if (permissions != 0 && (status.st_mode & 0777U) != permissions &&
        uninterrupted(system_calls.fchmod, file_.number(), permissions) != 0) {
      throw_file_error(errno, "cannot set the permissions of ", path);
    }
    return true;
  }

  /// A name that make_beside gives.
  static bool is_beside(std::string_view name) {
    const auto at = name.rfind(mark);
    if (at == std::string_view::npos || !name.ends_with(ending)) return false;
    name.remove_prefix(at + mark.size());
    name.remove_suffix(ending.size());
    return !name.empty() && name.find_first_not_of("0123456789-") == std::string_view::npos;
  }

  /// Removes what killed processes have left in the folder: files of such a name that are not locked.
  void remove_abandoned() const {
    const std::string folder = folder_of(place_);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), [](DIR* each) { return ::closedir(each); });
    if (!entries) return;
    while (const struct ::dirent* entry = ::readdir(entries.get())) {
      if (!is_beside(entry->d_name)) continue;
      const std::string path = folder + '/' + entry->d_name;
      const Descriptor file = opened(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
      struct ::stat status {};
      if (uninterrupted(system_calls.fstat, file.number(), &status) == 0 && S_ISREG(status.st_mode) &&
          uninterrupted(system_calls.lock, file.number()) == 0) {
        uninterrupted(system_calls.unlink, path.c_str());
      }
    }
  }

  std::string place_;
  Descriptor folder_;
  Descriptor lock_, file_;
  Beside beside_;  // is destroyed first: a file is removed while it is locked
  std::string buffer_;
};

}  // namespace fulgurite::detail
