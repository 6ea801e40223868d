// SPDX-License-Identifier: MIT
// The demo's command line.
#pragma once

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

struct Options {
  std::int64_t epochs = 30, batch_size = 16, seed = 0;
  double lr = 1e-2;
  std::string precision = "float32", device = "cpu", data = FULGURITE_EXAMPLE_DATA "/digits.csv", weights = "digits.pt";

  /// Reads the command line; after --help, or with a complaint about what is wrong, it ends the program.
  static Options parse(int argc, char** argv) {
    Options options;
    CLI::App app{"Learns to read handwritten digits (UCI, 8x8 pixels) with Fulgurite."};
    app.option_defaults()->always_capture_default();
    app.add_option("--epochs", options.epochs, "passes over the training data")->check(CLI::Range(1, 1'000'000));
    app.add_option("--lr", options.lr, "peak learning rate")->check([](const std::string& text) -> std::string {
      const double number = std::strtod(text.c_str(), nullptr);
      return number > 0.0 && std::isfinite(number) ? "" : text + " is no number above 0";
    });
    app.add_option("--batch-size", options.batch_size, "images a batch")->check(CLI::Range(1, 1'000'000));
    app.add_option("--seed", options.seed, "of weights, order and dropout")->check(CLI::Range(0, 1'000'000'000));
    app.add_option("--precision", options.precision, "number format of the training")
        ->check(CLI::IsMember({"float32", "float64", "bfloat16-mixed", "bfloat16"}));
    app.add_option("--device", options.device, "where it runs")->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--data", options.data, "the digits, as a CSV file");
    app.add_option("--weights", options.weights, "where the trained weights go")
        ->check([](const std::string& path) -> std::string {  // before the training, not after it
          std::error_code none;  // a folder that one may not look into counts as missing
          if (path.empty()) return "a path is missing";
          if (std::filesystem::is_directory(path, none)) return path + " is a folder";
          const auto folder = std::filesystem::absolute(path, none).parent_path();
          return std::filesystem::is_directory(folder, none) ? "" : "there is no folder " + folder.string();
        });
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::exit(app.exit(error));
    }
    return options;
  }
};
