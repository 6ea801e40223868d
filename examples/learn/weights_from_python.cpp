// SPDX-License-Identifier: MIT
// Weights that Python trained, in a model of C++, and back. (The file is made here, so that the program runs without Python.)
#include <fulgurite/fulgurite.hpp>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

namespace fg = fulgurite;

namespace {

// [model]
// The names of weights are those of Python if the modules are registered under the names that they have there.
struct Net : torch::nn::Module {
  torch::nn::Linear body = register_module("body", torch::nn::Linear(4, 8));
  torch::nn::Linear head = register_module("head", torch::nn::Linear(8, 3));
};
// [/model]

/// What Python trained: a module that has the net as its `model`, and another number of classes.
struct Trained : torch::nn::Module {
  struct Inner : torch::nn::Module {
    torch::nn::Linear body = register_module("body", torch::nn::Linear(4, 8));
    torch::nn::Linear old_head = register_module("old_head", torch::nn::Linear(8, 10));
  };
  std::shared_ptr<Inner> model = register_module("model", std::make_shared<Inner>());
};

}  // namespace

int main() {
  const auto folder = std::filesystem::temp_directory_path();
  const auto file = folder / "fulgurite_example.pt", ours = folder / "fulgurite_example_ours.pt";
  Trained trained;
  fg::save_weights(trained, file);
  Net net, copy;

  // [partial]
  const auto left_out = fg::load_weights(net, file, {.strict = false, .rename = {{"model.", ""}}});
  for (const auto& name : left_out.missing_keys) std::cout << name << " stays as it was\n";         // head.weight, head.bias
  for (const auto& name : left_out.unexpected_keys) std::cout << name << " is only in the file\n";  // old_head.weight, old_head.bias
  // [/partial]

  // [save]
  fg::save_weights(net, ours);   // in Python: model.load_state_dict(torch.load(path))
  fg::load_weights(copy, ours);  // the same names on both sides, or an error that lists all that differs
  // [/save]

  // [function]
  fg::load_weights(net, file, {.strict = false, .rename = [](const std::string& name) {
                     return name == "model.body.weight" ? "body.weight" : name;
                   }});
  // [/function]

  const bool same = net.body->weight.equal(trained.model->body->weight) && copy.head->weight.equal(net.head->weight);
  std::filesystem::remove(file);
  std::filesystem::remove(ours);
  return same && left_out.missing_keys.size() == 2 ? 0 : 1;
}
