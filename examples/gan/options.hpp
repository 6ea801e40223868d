// SPDX-License-Identifier: MIT
// The command line of the GAN.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

struct Options {
  std::int64_t epochs = 200, batch_size = 32, every = 20, seed = 0;
  double lr = 5e-4;
  std::string form = "automatic", data = FULGURITE_EXAMPLE_DATA "/digits.csv", images = "gan_digits";

  /// Reads the command line; after --help, or with a complaint about what is wrong, it ends the program.
  static Options parse(int argc, char** argv) {
    Options options;
    CLI::App app{"Learns to draw handwritten digits (UCI, 8x8 pixels) with a GAN."};
    app.option_defaults()->always_capture_default();
    app.add_option("--epochs", options.epochs, "passes over the training data")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--lr", options.lr, "learning rate of both networks")->check(CLI::PositiveNumber);
    app.add_option("--batch-size", options.batch_size, "images a batch")->check(CLI::Range(1, 1'000'000));
    app.add_option("--seed", options.seed, "of weights, order and noise")
        ->check(CLI::Range(0, 1'000'000'000));
    app.add_option("--form", options.form, "who optimizes; both: train twice and compare")
        ->check(CLI::IsMember({"automatic", "manual", "both"}));
    app.add_option("--every", options.every, "epochs between two pictures")->check(CLI::Range(1, 1'000'000));
    app.add_option("--data", options.data, "the digits, as a CSV file");
    app.add_option("--images", options.images, "the folder that the pictures go to");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::exit(app.exit(error));
    }
    return options;
  }
};
