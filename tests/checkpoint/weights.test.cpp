// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/weights.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

TEST_CASE("weights come back as they were saved, and strangers are refused by name") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights.pt";
  torch::nn::LinearImpl saved(3, 2), loaded(3, 2);
  fg::save_weights(saved, path);
  const void* place = loaded.weight.data_ptr();
  fg::load_weights(loaded, path);
  CHECK(loaded.weight.data_ptr() == place);
  CHECK(loaded.weight.equal(saved.weight));
  CHECK(loaded.bias.equal(saved.bias));

  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path),
                    ContainsSubstring("fulgurite: cannot load the weights file ") && ContainsSubstring("weights.pt: "));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path),
                    "fulgurite: cannot load the weights file " + path.string() + ": there is no such file");
}

TEST_CASE("weights of another shape are refused by name, and change nothing") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights.pt";
  torch::nn::LinearImpl saved(3, 2), other(4, 2);
  fg::save_weights(saved, path);
  const auto before = other.weight.clone();
  CHECK_THROWS_WITH(fg::load_weights(other, path), ContainsSubstring("weight is [2, 3] there and [2, 4] in the model"));
  CHECK(other.weight.equal(before));
}

TEST_CASE("folders that are not there are made, and one that cannot be made is named") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "new" / "folder" / "weights.pt";
  torch::nn::LinearImpl saved(3, 2), loaded(3, 2);
  fg::save_weights(saved, path);
  fg::load_weights(loaded, path);
  CHECK(loaded.weight.equal(saved.weight));
  CHECK_THROWS_WITH(fg::save_weights(saved, path / "within"),
                    "fulgurite: cannot save weights to " + (path / "within").string() + ": cannot make the folder " +
                        path.string() + ": File exists");
}

namespace {

std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(FULGURITE_SOURCE_DIR) / "tests/checkpoint/data" / (name + ".torch");
}

/// The model of tests/checkpoint/data/make.py.
struct Net : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 2));
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(2));
};
struct Wider : Net {
  torch::nn::Linear head = register_module("head", torch::nn::Linear(2, 3));
};
struct Buffers : torch::nn::Module {
  explicit Buffers(const std::vector<std::pair<std::string, torch::Tensor>>& buffers) {
    for (const auto& [name, tensor] : buffers) register_buffer(name, tensor);
  }
};

void require_values_of_python(const Net& net) {
  CHECK(net.layer->weight.equal(torch::arange(8.0F).view({2, 4})));
  CHECK(net.layer->bias.equal(torch::arange(10.0F, 12.0F)));
  CHECK(net.norm->weight.equal(torch::arange(20.0F, 22.0F)));
}

using Names = std::vector<std::string>;

TEST_CASE("weights that Python saved are loaded: a state dict, parameters, a checkpoint of Lightning with objects in it") {
  Net net;
  const void* const place = net.layer->weight.const_data_ptr();
  CHECK(fg::load_weights(net, data("state_dict")).empty());
  require_values_of_python(net);
  CHECK(net.layer->weight.const_data_ptr() == place);
  CHECK(net.layer->weight.requires_grad());

  Net other;
  const auto left_out = fg::load_weights(other, data("parameters"), {.strict = false});
  require_values_of_python(other);
  CHECK(left_out.missing_keys == Names{"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"});
  CHECK(left_out.unexpected_keys.empty());

  Net third;
  CHECK(fg::load_weights(third, data("lightning"), {.rename = {{"model.", ""}}}).empty());
  require_values_of_python(third);
  CHECK(third.norm->num_batches_tracked.item<std::int64_t>() == 1);
}

TEST_CASE("weights of the first format of this library, and of torch::save, are loaded") {
  Net old, half;
  fg::load_weights(old, data("old_weights"));
  torch::manual_seed(1);
  CHECK(old.layer->weight.equal(Net().layer->weight));
  CHECK(fg::load_weights(half, data("old_half"), {.strict = false}).unexpected_keys == Names{"empty", "scalar", "bf"});

  const support::TemporaryFolder folder;
  const auto path = folder.path / "libtorch.pt";
  torch::serialize::OutputArchive archive;
  half.save(archive);
  archive.save_to(path.string());
  fg::load_weights(old, path);
  CHECK(old.layer->weight.equal(half.layer->weight));
}

TEST_CASE("tensors of Python in each number format, with strides, shared, empty and without dimensions") {
  std::vector<std::pair<std::string, torch::Tensor>> buffers;
  for (const auto& format : fg::detail::number_formats) {
    if (format.name == "float32" || format.name == "complex32" || format.name.ends_with("fnuz")) continue;
    buffers.emplace_back(format.name, torch::zeros({3}, format.type));
  }
  const auto base = torch::arange(12.0F).view({3, 4});
  const std::vector<std::pair<std::string, torch::Tensor>> views{
      {"base", base}, {"tied", base}, {"transposed", base.t()}, {"column", base.select(1, 1)}, {"rest", base.slice(0, 1)},
      {"expanded", torch::zeros({5})}, {"scalar", torch::tensor(2.5F)}, {"empty", torch::empty({0, 3})}};
  for (const auto& [name, tensor] : views) buffers.emplace_back(name, torch::full_like(tensor, -1, {}, torch::MemoryFormat::Contiguous));
  Buffers model(buffers);
  CHECK(fg::load_weights(model, data("formats")).empty());
  for (const auto& [name, tensor] : buffers) {
    INFO(name);
    const auto found = std::find_if(views.begin(), views.end(), [&, &wanted = name](const auto& view) { return view.first == wanted; });
    if (found != views.end()) {
      CHECK(tensor.equal(found->second));
    } else {
      const auto expected = tensor.scalar_type() == torch::kBool ? torch::tensor({0.0, 1.0, 1.0}) : torch::arange(3.0).to(torch::kFloat);
      CHECK(at::real(tensor.to(torch::kComplexFloat)).equal(expected.to(torch::kFloat)));
    }
  }
}

TEST_CASE("weights of all kinds come back from a file of ours, tied ones from one place in it") {
  const support::TemporaryFolder folder;
  const auto base = torch::randn({3, 4}), big = torch::randn({64, 64});
  const auto make = [&] {
    return Buffers({{"half", torch::randn({3}).to(torch::kHalf)}, {"bfloat", torch::randn({3}).to(torch::kBFloat16)},
                    {"transposed", torch::randn({3, 4}).t()}, {"column", base.clone().select(1, 1)}, {"scalar", torch::randn({})},
                    {"empty", torch::empty({2, 0})}, {"flags", torch::rand({5}) > 0.5}});
  };
  const Buffers saved = make();
  Buffers loaded = make();
  fg::save_weights(saved, folder.path / "weights");
  fg::load_weights(loaded, folder.path / "weights");
  for (const auto& each : saved.named_buffers()) {
    INFO(each.key());
    CHECK(loaded.named_buffers()[each.key()].equal(each.value()));
  }
  fg::save_weights(Buffers({{"one", big}, {"two", big}}), folder.path / "tied");
  fg::save_weights(Buffers({{"one", big}}), folder.path / "alone");
  CHECK(std::filesystem::file_size(folder.path / "tied") < std::filesystem::file_size(folder.path / "alone") + 1024);
}

TEST_CASE("all that does not fit is named at once, and nothing is changed") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights";
  fg::save_weights(Buffers({{"a", torch::ones({2})}, {"shape", torch::ones({2, 3})}, {"format", torch::ones({2})}, {"left", torch::ones({1})}}), path);
  Buffers model({{"a", torch::zeros({2})}, {"shape", torch::zeros({3, 2})}, {"format", torch::zeros({2}, torch::kLong)}, {"lacks", torch::zeros({1})}});
  for (const bool strict : {true, false}) {
    CHECK_THROWS_WITH(fg::load_weights(model, path, {.strict = strict}),
                      ContainsSubstring("shape is [2, 3] there and [3, 2] in the model") &&
                          ContainsSubstring("format is Float there and Long in the model"));
  }
  CHECK_THROWS_WITH(fg::load_weights(model, path),
                    ContainsSubstring("it has no weight lacks, which the model has") &&
                        ContainsSubstring("it has a weight left, and the model has none of that name"));
  CHECK(model.named_buffers()["a"].equal(torch::zeros({2})));
}

TEST_CASE("a load that is not strict lists what it left out; one that would load nothing is refused") {
  Wider wider;
  const auto head = wider.head->weight.detach().clone();
  CHECK_THROWS_WITH(fg::load_weights(wider, data("state_dict")),
                    ContainsSubstring("it has no weight head.weight, which the model has") &&
                        ContainsSubstring(". With {.strict = false} the model finds 7 of its 9 weights"));
  const auto left_out = fg::load_weights(wider, data("state_dict"), {.strict = false});
  require_values_of_python(wider);
  CHECK(left_out.missing_keys == Names{"head.weight", "head.bias"});
  CHECK(wider.head->weight.equal(head));

  torch::nn::LinearImpl line(4, 2);
  CHECK_THROWS_WITH(fg::load_weights(line, data("state_dict"), {.strict = false}),
                    ContainsSubstring("none of its weights has the name of one of the model's. "
                                      "With {.strict = false, .rename = {{\"layer.\", \"\"}}} the model finds its weights"));
  CHECK(fg::load_weights(line, data("state_dict"), {.strict = false, .rename = {{"layer.", ""}}}).unexpected_keys.size() == 5);
  CHECK(line.bias.equal(torch::arange(10.0F, 12.0F)));
}

TEST_CASE("names are changed by prefixes or by a function, and the prefix that is wrong is pointed out") {
  Net net;
  CHECK_THROWS_WITH(fg::load_weights(net, data("lightning")),
                    ContainsSubstring("With {.rename = {{\"model.\", \"\"}}} the model finds its weights"));
  const auto by_function = [](const std::string& name) { return name.substr(name.find('.') + 1); };
  CHECK(fg::load_weights(net, data("lightning"), {.rename = by_function}).empty());
  require_values_of_python(net);
  const std::vector<std::pair<std::string, std::string>> list{{"model.layer", "layer"}, {"model.norm.", "norm."}};
  CHECK(fg::load_weights(net, data("lightning"), {.rename = list}).empty());

  struct Outer : torch::nn::Module {
    std::shared_ptr<Net> net = register_module("net", std::make_shared<Net>());
  } outer;
  CHECK_THROWS_WITH(fg::load_weights(outer, data("state_dict")), ContainsSubstring("With {.rename = {{\"\", \"net.\"}}} the model finds"));
  CHECK(fg::load_weights(outer, data("state_dict"), {.rename = {{"", "net."}}}).empty());
  CHECK_THROWS_WITH(fg::load_weights(net, data("state_dict"), {.rename = [](const std::string&) { return std::string("layer.bias"); }}),
                    ContainsSubstring("it has two weights called layer.bias"));
}

/// A body, and a head with a class of its own for each output.
struct Classifier : torch::nn::Module {
  explicit Classifier(std::int64_t classes)
      : body(register_module("body", torch::nn::Linear(4, 8))), head(register_module("head", torch::nn::Linear(8, classes))) {}
  torch::nn::Linear body, head;
};
template <class Inner>
struct Within : torch::nn::Module {
  explicit Within(const std::string& name, std::shared_ptr<Inner> inner) { register_module(name, std::move(inner)); }
};

TEST_CASE("weights of another number of classes: the message says how to leave them out, and that works") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights";
  const Classifier ten(10);
  fg::save_weights(ten, path);
  Classifier three(3);
  const auto head = three.head->weight.detach().clone();
  const std::string beginning = "fulgurite: cannot load the weights file " + path.string() +
                                ": head.weight is [10, 8] there and [3, 8] in the model; head.bias is [10] there and [3] in "
                                "the model. Make the model with the shapes that were saved";
  const std::string leave_out =
      ", or leave out what differs: with {.strict = false, .rename = {{\"head.\", \"left_out.head.\"}}} the model finds 2 of "
      "its 4 weights";
  CHECK_THROWS_WITH(fg::load_weights(three, path), beginning + leave_out);
  CHECK_THROWS_WITH(fg::load_weights(three, path, {.strict = false}), beginning + leave_out);
  const auto left_out = fg::load_weights(three, path, {.strict = false, .rename = {{"head.", "left_out.head."}}});
  CHECK(left_out.missing_keys == Names{"head.weight", "head.bias"});
  CHECK(three.body->weight.equal(ten.body->weight));
  CHECK(three.head->weight.equal(head));

  // With a prefix too.
  fg::save_weights(Within("model", std::make_shared<Classifier>(10)), path);
  CHECK_THROWS_WITH(fg::load_weights(three, path),
                    ContainsSubstring(". With {.strict = false, .rename = {{\"model.head.\", \"left_out.model.head.\"}, "
                                      "{\"model.\", \"\"}}} the model finds 2 of its 4 weights"));
  const fg::WeightNames both{{"model.head.", "left_out.model.head."}, {"model.", ""}};
  CHECK(fg::load_weights(three, path, {.strict = false, .rename = both}).missing_keys.size() == 2);
  CHECK(three.head->weight.equal(head));

  // Where each module differs, leaving out is no way; nor is it where a function renames what prefixes don't.
  struct Wide : torch::nn::Module {
    Wide() {
      for (const char* name : {"a", "b", "c", "d"}) register_module(name, torch::nn::Linear(4, 9));
      register_module("head", torch::nn::Linear(8, 3));
    }
  } wide;
  struct Narrow : torch::nn::Module {
    Narrow() {
      for (const char* name : {"a", "b", "c", "d"}) register_module(name, torch::nn::Linear(4, 8));
      register_module("head", torch::nn::Linear(8, 3));
    }
  } narrow;
  fg::save_weights(narrow, path);
  CHECK_THROWS_WITH(fg::load_weights(wide, path), EndsWith("d.bias is [8] there and [9] in the model. Make the model with the "
                                                           "shapes that were saved"));
}

TEST_CASE("names that differ by a prefix on both sides, or in part only, are pointed out, and what is advised works") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights";
  const auto saved = std::make_shared<Classifier>(3);
  fg::save_weights(Within("module", saved), path);
  const auto inner = std::make_shared<Classifier>(3);
  Within model("model", inner);
  CHECK_THROWS_WITH(fg::load_weights(model, path),
                    ContainsSubstring(". With {.rename = {{\"module.\", \"model.\"}}} the model finds its weights"));
  CHECK(fg::load_weights(model, path, {.rename = {{"module.", "model."}}}).empty());
  CHECK(inner->head->weight.equal(saved->head->weight));

  // The file has no weights for the head.
  Wider wider;
  for (const bool strict : {true, false}) {
    CHECK_THROWS_WITH(fg::load_weights(wider, data("lightning"), {.strict = strict}),
                      ContainsSubstring(". With {.strict = false, .rename = {{\"model.\", \"\"}}} the model finds 7 of its 9 "
                                        "weights"));
  }
  CHECK(fg::load_weights(wider, data("lightning"), {.strict = false, .rename = {{"model.", ""}}}).missing_keys ==
        Names{"head.weight", "head.bias"});
  // A renaming that is not needed, one that leaves some names as they are, and one that no pair of prefixes replaces.
  Net net;
  CHECK_THROWS_WITH(fg::load_weights(net, data("state_dict"), {.rename = {{"layer.", "net.layer."}}}),
                    ContainsSubstring(". Without .rename the model finds its weights"));
  CHECK_THROWS_WITH(fg::load_weights(net, data("lightning"), {.rename = {{"model.layer.", "layer."}}}),
                    ContainsSubstring(". With {.rename = {{\"model.\", \"\"}}} the model finds its weights"));
  fg::save_weights(Buffers({{"first", torch::ones({2})}, {"second", torch::ones({3})}}), path);
  const auto german = [](const std::string& name) { return name == "first" ? "eins" : "zwei"; };
  Buffers three({{"eins", torch::zeros({2})}, {"zwei", torch::zeros({3})}, {"drei", torch::zeros({1})}});
  CHECK_THROWS_WITH(fg::load_weights(three, path, {.rename = german}),
                    ContainsSubstring(". With .strict = false the model finds 2 of its 3 weights"));
  CHECK(fg::load_weights(three, path, {.strict = false, .rename = german}).missing_keys == Names{"drei"});
  Buffers bent({{"eins", torch::zeros({2})}, {"zwei", torch::zeros({4})}});
  CHECK_THROWS_WITH(fg::load_weights(bent, path, {.rename = german}),
                    ContainsSubstring(". Make the model with the shapes that were saved, or leave out what differs: with .strict "
                                      "= false, and a .rename that gives it names that the model lacks"));
  const auto lacking = [](const std::string& name) { return name == "first" ? "eins" : "left_out"; };
  CHECK(fg::load_weights(bent, path, {.strict = false, .rename = lacking}).missing_keys == Names{"zwei"});
  CHECK_THROWS_WITH(fg::load_weights(net, data("state_dict"), {.rename = [](const std::string&) { return "layer.bias"; }}),
                    ContainsSubstring(". Let .rename give each weight a name of its own"));

  // A prefix that would spoil other names is not advised: the longer one is.
  struct Half : torch::nn::Module {
    torch::nn::Linear body = register_module("body", torch::nn::Linear(4, 8));
    std::shared_ptr<Within<torch::nn::LinearImpl>> net =
        register_module("net", std::make_shared<Within<torch::nn::LinearImpl>>("head", torch::nn::Linear(8, 3).ptr()));
  } half;
  fg::save_weights(*saved, path);
  CHECK_THROWS_WITH(fg::load_weights(half, path),
                    ContainsSubstring(". With {.rename = {{\"head.\", \"net.head.\"}}} the model finds its weights"));
  CHECK(fg::load_weights(half, path, {.rename = {{"head.", "net.head."}}}).empty());
}

TEST_CASE("a module of the file that has the shape of one that the model misses is not taken for it") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights";
  struct Decoder : torch::nn::Module {
    torch::nn::Linear body = register_module("body", torch::nn::Linear(4, 8)), decoder = register_module("decoder", torch::nn::Linear(8, 3));
  } decoder;
  fg::save_weights(decoder, path);
  Classifier model(3);
  CHECK_THROWS_WITH(fg::load_weights(model, path), EndsWith(". With {.strict = false} the model finds 2 of its 4 weights"));
  CHECK(fg::load_weights(model, path, {.strict = false}).missing_keys == Names{"head.weight", "head.bias"});
}

TEST_CASE("where no name or format fits, the message says what to do, and that works") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights";
  fg::save_weights(Buffers({{"first", torch::ones({2})}, {"second", torch::ones({3})}}), path);
  Buffers other({{"eins", torch::zeros({2})}, {"zwei", torch::zeros({3})}});
  for (const bool strict : {true, false}) {
    CHECK_THROWS_WITH(fg::load_weights(other, path, {.strict = strict}),
                      EndsWith(". Register the model's modules under the names in the file, or give .rename a function from "
                               "those to the model's"));
  }
  const auto german = [](const std::string& name) { return name == "first" ? "eins" : "zwei"; };
  CHECK(fg::load_weights(other, path, {.rename = german}).empty());
  Buffers numbers({{"first", torch::zeros({2}, torch::kLong)}, {"second", torch::zeros({4})}});
  CHECK_THROWS_WITH(fg::load_weights(numbers, path), EndsWith(". Make the model with the shapes and number formats that were saved"));
  Buffers longs({{"first", torch::zeros({2}, torch::kLong)}, {"second", torch::zeros({3})}});
  CHECK_THROWS_WITH(fg::load_weights(longs, path),
                    EndsWith(". Make the model with the number formats that were saved, or leave out what differs: with {.strict "
                             "= false, .rename = {{\"first\", \"left_out.first\"}}} the model finds 1 of its 2 weights"));
  CHECK(fg::load_weights(longs, path, {.strict = false, .rename = {{"first", "left_out.first"}}}).missing_keys == Names{"first"});
}

TEST_CASE("what holds no weights by name is refused by what it is") {
  const support::TemporaryFolder folder;
  Net net;
  const auto require_refused = [&](const std::filesystem::path& path, const std::string& why) {
    CHECK_THROWS_WITH(fg::load_weights(net, path), ContainsSubstring(path.string()) && ContainsSubstring(why));
  };
  require_refused(
      data("legacy"),
      "it is in the format of PyTorch before 1.6; in Python, torch.save(torch.load(path, map_location=\"cpu\"), path) "
      "writes it anew");
  require_refused(data("module"), "it holds the Python object torch.nn.modules.linear.Linear: in Python, save model.state_dict()");
  require_refused(folder.path, "it is a folder");
  const auto path = folder.path / "file";
  const auto write = [&](std::string_view text) { support::write_file(path, text); };
  write("");
  require_refused(path, "it is empty");
  write("layer.weight,1,2,3");
  require_refused(path, "it does not begin as a file of torch.save does");
  write(std::string_view("\x40\0\0\0\0\0\0\0{\"layer.weight\":{}}", 27));
  require_refused(
      path,
      "it is a safetensors file; in Python, torch.save(safetensors.torch.load_file(path), other_path) makes one that can be "
      "read");
  REQUIRE(mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
  require_refused(folder.path / "pipe", "it is a device, a pipe or a socket");

  const auto write_value = [&](const c10::IValue& value) {
    const auto bytes = torch::pickle_save(value);  // with the types of lists and dictionaries
    write({bytes.data(), bytes.size()});
  };
  c10::Dict<std::string, std::int64_t> numbers;
  numbers.insert("epoch", 3);
  write_value(numbers);
  require_refused(path,
                  "it has no tensors by name, nor a state_dict with them, only epoch: in Python, save the state dict alone");
  c10::Dict<std::int64_t, torch::Tensor> numbered;
  numbered.insert(1, torch::ones({2}));
  write_value(numbered);
  require_refused(path, "its weights are not called by names");
  auto half = fg::detail::new_dict(c10::StringType::get());
  half.insert("layer.weight", torch::ones({2, 4}));
  half.insert("layer.bias", std::int64_t{3});
  write_value(half);
  require_refused(path, "layer.bias is not a tensor there");
  write_value(torch::ones({2}));
  require_refused(path, "it holds no dictionary of weights: in Python, save model.state_dict()");
  c10::Dict<std::string, torch::Tensor> weights;
  weights.insert("weight", torch::ones({2, 4}));
  weights.insert("bias", torch::ones({2}));
  write_value(weights);
  torch::nn::LinearImpl line(4, 2);
  CHECK(fg::load_weights(line, path).empty());
  CHECK(line.weight.equal(torch::ones({2, 4})));
}

}  // namespace
