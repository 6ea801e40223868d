// SPDX-License-Identifier: MIT
// Damaged files: nothing is loaded from them, nothing crashes, and what is thrown says what is wrong.
#include <fulgurite/checkpoint.hpp>

#include "support/files.hpp"
#include "support/resume.hpp"

#include <fulgurite/optim.hpp>
#include <fulgurite/schedulers.hpp>

#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using fg::detail::InputBytes;
using fg::detail::TorchFile;
using fg::detail::UnreadableFile;

struct Text {
  std::string text{};
  void write(const void* data, std::size_t size) { text.append(static_cast<const char*>(data), size); }
};

std::string data(const std::string& name) {
  return support::text_of(std::filesystem::path(FULGURITE_SOURCE_DIR) / "tests/checkpoint/data" / (name + ".torch"));
}

struct Small : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(layer->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_epoch);
    return loss;
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.01, .momentum = 0.9})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};

std::string weights_file() {
  const resume::Scratch file;
  torch::manual_seed(1);
  Small model;
  fg::save_weights(model, file.path);
  return support::text_of(file.path);
}

std::string checkpoint_file() {
  const resume::Scratch file;
  torch::manual_seed(1);
  Small model;
  fg::Trainer trainer{model};
  resume::train(trainer, 3, 2, 1);
  fg::save_checkpoint(trainer, file.path);
  return support::text_of(file.path);
}

/// A checkpoint without the state of the random generator, which is most of its bytes.
std::string smaller(const std::string& checkpoint) {
  auto value = TorchFile(InputBytes(checkpoint)).value().toGenericDict();
  value.insert_or_assign("random", fg::detail::new_list());
  Text file;
  fg::detail::write_pickle(value, file);
  return file.text;
}

c10::IValue checkpoint_in(const std::string& bytes) { return fg::detail::read_checkpoint(InputBytes(bytes)); }

/// The weights of a file, and their names: of what else is in it nothing is loaded.
c10::IValue weights_in(const std::string& bytes) {
  const TorchFile file{InputBytes(bytes)};
  std::vector<const fg::detail::SavedTensor*> wanted;
  auto names = fg::detail::new_list(), tensors = fg::detail::new_list();
  for (const auto& weight : fg::detail::weights_in(file)) {
    names.push_back(weight.name);
    if (weight.tensor != nullptr) wanted.push_back(weight.tensor);
  }
  for (const auto& tensor : file.tensors(wanted)) tensors.push_back(tensor);
  return c10::ivalue::Tuple::create(names, tensors);
}
bool same(const c10::IValue& a, const c10::IValue& b) {
  if (!a.isTuple()) return resume::same(a, b);
  const auto &x = a.toTupleRef().elements(), &y = b.toTupleRef().elements();
  return resume::same(x[0], y[0]) && resume::same(x[1], y[1]);
}

/// What becomes of damaged files.
struct Outcome {
  std::size_t noticed = 0, without_difference = 0, silent = 0, raw = 0;
  std::string first_raw{};

  template <class Read>
  void note(const std::string& bytes, const c10::IValue& whole, const Read& read) {
    try {
      ++(same(whole, read(bytes)) ? without_difference : silent);
    } catch (const UnreadableFile&) {
      ++noticed;
    } catch (const c10::Error& error) {
      ++raw;
      first_raw = error.what_without_backtrace();
    } catch (const std::runtime_error& error) {
      // What a checkpoint's reader says of a file of another kind.
      const std::string said = error.what();
      const bool is_ours = said.starts_with("it holds weights only") || said.starts_with("it was not written by") || said.starts_with("it is of version");
      ++(is_ours ? noticed : raw);
      if (!is_ours) first_raw = said;
    } catch (const std::exception& error) {
      ++raw;
      first_raw = error.what();
    }
  }
};

char flipped(char byte, unsigned bit) { return static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit)); }

/// Each bit of each byte; or of each byte one, in turn.
template <class Read>
Outcome flip_each_bit(std::string bytes, const Read& read, bool all = true) {
  const auto whole = read(bytes);
  Outcome outcome;
  unsigned turn = 0;
  for (char& byte : bytes) {
    ++turn;
    for (unsigned bit = all ? 0 : turn % 8; bit < (all ? 8 : turn % 8 + 1); ++bit) {
      byte = flipped(byte, bit);
      outcome.note(bytes, whole, read);
      byte = flipped(byte, bit);
    }
  }
  return outcome;
}

TEST_CASE("each flipped bit of a weights file and of a checkpoint is noticed") {
  const auto require_noticed = [](const Outcome& outcome, const std::string& bytes) {
    INFO(outcome.first_raw);
    CHECK(outcome.silent == 0);
    CHECK(outcome.raw == 0);
    CHECK(outcome.without_difference == 0);
    CHECK(outcome.noticed == 8 * bytes.size());
  };
  const std::string weights = weights_file();
  require_noticed(flip_each_bit(weights, weights_in), weights);
  const std::string checkpoint = smaller(checkpoint_file());
  require_noticed(flip_each_bit(checkpoint, checkpoint_in), checkpoint);
}

TEST_CASE("no flipped bit of a file of Python, or of this library's first format, loads as something else") {
  for (const bool of_python : {true, false}) {
    INFO(of_python);
    const std::string bytes = data(of_python ? "state_dict" : "old_weights");
    const Outcome outcome = flip_each_bit(bytes, weights_in, of_python);
    INFO(outcome.first_raw);
    CHECK(outcome.silent == 0);
    CHECK(outcome.raw == 0);
    // Of padding and of the code in an archive of LibTorch nothing is read.
    CHECK(outcome.noticed > (of_python ? bytes.size() * 8 : bytes.size()) / 2);
  }
}

TEST_CASE("a file that is cut short anywhere is refused") {
  const auto require_refused = [](const std::string& whole, const auto& read) {
    const auto value = read(whole);
    Outcome outcome;
    for (std::size_t size = 0; size < whole.size(); ++size) outcome.note(whole.substr(0, size), value, read);
    outcome.note(whole + '\0', value, read);
    INFO(outcome.first_raw);
    CHECK(outcome.noticed == whole.size() + 1);
  };
  require_refused(weights_file(), weights_in);
  require_refused(checkpoint_file(), checkpoint_in);
  require_refused(data("state_dict"), weights_in);
}

/// The file with its data.pkl changed by `change`, and checksums that fit.
template <class Change>
std::string with_other_structure(const std::string& bytes, const Change& change) {
  const fg::detail::ZipReader archive{InputBytes(bytes)};
  Text file;
  fg::detail::ZipWriter writer(file);
  for (std::size_t i = 0; i < archive.records().size(); ++i) {
    const auto& record = archive.records()[i];
    if (!record.stored || record.name == "byteorder" || record.name == "version") continue;
    std::string content = archive.text(i);
    if (record.name == "data.pkl") change(content);
    writer.record(record.name, content.data(), content.size());
  }
  writer.finish();
  return file.text;
}

/// Some bytes are others, missing, repeated, or numbers at the ends of their range.
void mutate(std::string& bytes, std::mt19937& random) {
  const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
  for (std::size_t times = 1 + below(4); times > 0 && !bytes.empty(); --times) {
    const std::size_t at = below(bytes.size());
    switch (below(6)) {
      case 0: bytes[at] = flipped(bytes[at], static_cast<unsigned>(below(8))); break;
      case 1: bytes[at] = static_cast<char>(below(256)); break;
      case 2: bytes.erase(at, 1 + below(8)); break;
      case 3: bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(64))); break;
      case 4: bytes.replace(at, 4, std::string(4, below(2) == 0 ? '\xff' : '\x7f')); break;
      default: std::swap(bytes[at], bytes[below(bytes.size())]);
    }
  }
}

TEST_CASE("files of random damage, with checksums that fit it or not, are refused or read without a crash") {
  const char* const wanted = std::getenv("FULGURITE_MUTATIONS");
  const std::size_t count = wanted == nullptr ? 1000 : static_cast<std::size_t>(std::atoi(wanted));
  const std::string weights = weights_file(), checkpoint = checkpoint_file();
  std::vector<std::string> files{weights, checkpoint, data("state_dict"), data("lightning"), data("parameters"), data("formats"), data("old_weights")};
  const resume::Scratch file;
  Small model;
  fg::Trainer trainer{model};
  std::mt19937 random(5);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < count; ++i) {
    INFO("mutation " << i);
    std::string bytes = files[i % files.size()];
    if (i % 3 == 0) {
      mutate(bytes, random);
    } else {
      bytes = with_other_structure(bytes, [&](std::string& structure) { mutate(structure, random); });
    }
    support::write_file(file.path, bytes);
    const auto said_by = [&](const auto& load) -> std::string {
      try {
        load();
        return "";
      } catch (const std::runtime_error& error) {
        return error.what();
      }
    };
    const std::string from_weights = said_by([&] { fg::load_weights(model, file.path, {.rename = {{"model.", ""}}}); });
    const std::string from_checkpoint = said_by([&] { fg::load_checkpoint(trainer, file.path); });
    for (const std::string& said : {from_weights, from_checkpoint}) {
      if (said.empty()) continue;
      ++refused;
      REQUIRE_THAT(said, ContainsSubstring(file.path.string()) && !ContainsSubstring("INTERNAL ASSERT"));
    }
  }
  CHECK(refused > count);
}

struct Inner : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(2));
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(norm->forward(layer->forward(batch.data)), batch.target);
    step.log("train_loss", loss, fg::on_epoch);
    return loss;
  }
};
struct Net : Inner {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};
struct OfLibTorch : Inner {
  auto configure_optimizers() { return torch::optim::Adam(parameters(), 0.01); }
};

template <class Model>
void require_old_file(const std::string& name) {
  INFO(name);
  const resume::Scratch file;
  support::write_file(file.path, data(name));
  Model model, other;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  fg::load_checkpoint(trainer, file.path);
  CHECK(trainer.progress().batch == 6);
  CHECK(trainer.progress().global_step == 1);
  CHECK(trainer.hyperparameters().size() == 4);
  CHECK(model.layer->weight.grad().defined());
  fg::load_weights(other, file.path);
  CHECK(at::equal(other.layer->weight, model.layer->weight));
  CHECK(std::abs(model.layer->weight[0][0].template item<double>() - 0.2676) < 1e-4);
}

TEST_CASE("checkpoints of the first format are read, with archives of LibTorch in them") {
  require_old_file<Net>("old_training");
  require_old_file<OfLibTorch>("old_archive");
}

TEST_CASE("a damaged archive within a checkpoint is refused, though the checksums around it fit") {
  const resume::Scratch file;
  OfLibTorch model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  const std::string bytes = data("old_archive");
  const fg::detail::ZipReader archive{InputBytes(bytes)};
  std::string inner = archive.text(archive.find("data/0"));
  REQUIRE(inner.starts_with("PK"));
  // A tensor's bytes in it: a LibTorch archive has its tensors in front.
  const fg::detail::ZipReader nested{InputBytes(inner)};
  const auto& record = nested.records()[nested.find("data/0")];
  std::string changed = inner;
  changed[record.begin] = flipped(changed[record.begin], 2);
  Text whole;
  fg::detail::ZipWriter writer(whole);
  for (std::size_t i = 0; i < archive.records().size(); ++i) {
    const std::string& name = archive.records()[i].name;
    if (name != "data.pkl" && !name.starts_with("data/")) continue;
    const std::string content = name == "data/0" ? changed : archive.text(i);
    writer.record(name, content.data(), content.size());
  }
  writer.finish();
  support::write_file(file.path, whole.text);
  const auto before = model.layer->weight.clone();
  CHECK_THROWS_WITH(fg::load_checkpoint(trainer, file.path),
                    ContainsSubstring(file.path.string()) && ContainsSubstring("cannot be loaded: it is damaged: its record data/0 has another checksum"));
  CHECK(at::equal(model.layer->weight, before));
  CHECK(trainer.progress().batches == 0);
}

}  // namespace
