// SPDX-License-Identifier: MIT
// The `main` of a test program whose headers hold changes behind a switch. It runs the tests with the change that the
// environment chooses, FULGURITE_MUTANT=<number>, as Catch2's own would. For tests/mutation/run there are two ways more:
//   --asked <file>  runs the tests, and writes for each case which changes it reached: a change is run with those only
//   --serve         reads a line "<number> <milliseconds> <case>..." for each run and answers with a line of what became of
//                   it. A run is a fork of this process: the program is loaded once, and a run that crashes ends alone.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/interfaces/catch_interfaces_reporter.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

#include <fulgurite_mutation/switch.hpp>

namespace fulgurite_mutation {
namespace {

/// What a run tells the process that it was forked from.
struct Told {
  int cases;
  char last_case[400];
};
Told* told = nullptr;
std::ofstream* asked_file = nullptr;

class Listener : public Catch::EventListenerBase {
 public:
  using Catch::EventListenerBase::EventListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    if (told) {
      ++told->cases;
      std::strncpy(told->last_case, info.name.c_str(), sizeof told->last_case - 1);
    }
    std::memset(asked, 0, sizeof asked);
    began_ = std::clock();
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (!asked_file) return;
    const double seconds = static_cast<double>(std::clock() - began_) / CLOCKS_PER_SEC;  // of work
    *asked_file << stats.testInfo->lineInfo.file << '\t' << stats.testInfo->name << '\t'
                << stats.totals.assertions.failed << '\t' << seconds << '\t';
    for (int number = 1; number < capacity; ++number) {
      if (asked[number]) *asked_file << number << ' ';
    }
    *asked_file << std::endl;
  }

 private:
  std::clock_t began_ = 0;
};

/// A name as a test specification takes it literally.
std::string literally(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == '\\' || c == ',' || c == '[' || c == '"' || (c == '~' && text.empty())) text += '\\';
    text += c;
  }
  return text;
}

void limit(int resource, rlim_t value) {
  const rlimit limits{value, value};
  setrlimit(static_cast<__rlimit_resource>(resource), &limits);
}

/// The tests of `cases` with one change, in a process of their own.
[[noreturn]] void run(int number, long milliseconds, const std::vector<std::string>& cases) {
  setpgid(0, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, rlim_t{256} << 20U);
  limit(RLIMIT_DATA, rlim_t{4} << 30U);
  const timeval until{milliseconds / 1000, milliseconds % 1000 * 1000};
  const itimerval once{{0, 0}, until};
  setitimer(ITIMER_PROF, &once, nullptr);                     // a loop without end, however busy the machine is
  alarm(static_cast<unsigned>(30 + 20 * milliseconds / 1000));  // a wait without end
  if (!std::getenv("FULGURITE_MUTATION_SHOW")) {
    if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) _exit(127);
  }
  chosen = number;
  Catch::Session session;
  Catch::ConfigData data;
  data.abortAfter = 1;
  for (const std::string& name : cases) data.testsOrTags.push_back((data.testsOrTags.empty() ? "" : ",") + literally(name));
  session.useConfigData(data);
  const int failed = session.run();
  std::fflush(nullptr);
  _exit(std::min(failed, 255));
}

int serve() {
  told = static_cast<Told*>(mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (told == MAP_FAILED) return 1;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    int number = 0;
    long milliseconds = 0;
    std::string name;
    std::vector<std::string> cases;
    words >> number >> milliseconds >> std::ws;
    while (std::getline(words, name, '\t')) cases.push_back(name);
    std::memset(told, 0, sizeof *told);
    std::cout.flush();
    const pid_t child = fork();
    if (child == 0) run(number, milliseconds, cases);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    kill(-child, SIGKILL);  // what it has left behind
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const char* outcome = "noticed";
    if (signal == SIGPROF || signal == SIGALRM || signal == SIGKILL) {
      outcome = "no end";
    } else if (signal != 0) {
      outcome = "crash";
    } else if (WEXITSTATUS(status) == 0) {
      outcome = "survived";
    }
    std::cout << outcome << '\t' << told->cases << '\t' << told->last_case << std::endl;
  }
  return 0;
}

int write_asked(const char* path) {
  std::ofstream file(path);
  asked_file = &file;
  Catch::Session session;
  session.useConfigData({});
  return session.run();
}

}  // namespace
}  // namespace fulgurite_mutation

CATCH_REGISTER_LISTENER(fulgurite_mutation::Listener)

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "";
  if (way == "--serve") return fulgurite_mutation::serve();
  if (way == "--asked" && argc > 2) return fulgurite_mutation::write_asked(argv[2]);
  if (const char* number = std::getenv("FULGURITE_MUTANT")) fulgurite_mutation::chosen = std::atoi(number);
  return Catch::Session().run(argc, argv);
}
