// SPDX-License-Identifier: MIT
// Names that look like hooks and are none: a model that has one of them almost surely means the hook named beside it.
// C++ cannot see a typo that nobody foresaw, but these are foreseen.
#pragma once

#define FULGURITE_MISSPELT(name, hook)                                                                       \
  struct name##_misspelt {                                                                                   \
    struct Name {                                                                                            \
      void name();                                                                                           \
    };                                                                                                       \
    template <class Host>                                                                                    \
    struct Probe : Host, Name {};                                                                            \
    template <class Host>                                                                                    \
    static constexpr bool named = !requires { &Probe<Host>::name; };                                         \
    template <class Host>                                                                                    \
    static consteval void require_absent() {                                                                 \
      static_assert(!named<Host>, "a model or callback has a member called " #name ", which is no hook: did you mean " \
                    "`" hook "`? Rename it either way. See docs/errors/misspelt-hook.md");                   \
    }                                                                                                        \
  }

namespace fulgurite::hooks {

FULGURITE_MISSPELT(train_step, "training_step");
FULGURITE_MISSPELT(trainingStep, "training_step");
FULGURITE_MISSPELT(val_step, "validation_step");
FULGURITE_MISSPELT(valid_step, "validation_step");
FULGURITE_MISSPELT(configure_optimizer, "configure_optimizers");
FULGURITE_MISSPELT(training_epoch_end, "on_train_epoch_end");
FULGURITE_MISSPELT(training_step_end, "on_train_batch_end");
FULGURITE_MISSPELT(validation_epoch_end, "on_validation_epoch_end");
FULGURITE_MISSPELT(on_training_start, "on_train_start");
FULGURITE_MISSPELT(on_training_end, "on_train_end");
FULGURITE_MISSPELT(on_epoch_start, "on_train_epoch_start");
FULGURITE_MISSPELT(on_epoch_end, "on_train_epoch_end");
FULGURITE_MISSPELT(on_batch_start, "on_train_batch_start");
FULGURITE_MISSPELT(on_batch_end, "on_train_batch_end");

template <class Host>
inline constexpr bool misspells_training_step = train_step_misspelt::named<Host> || trainingStep_misspelt::named<Host>;
template <class Host>
inline constexpr bool misspells_configure_optimizers = configure_optimizer_misspelt::named<Host>;

template <class Host, class... Misspelt>
consteval void require_no_misspelt_hook() {
  (Misspelt::template require_absent<Host>(), ...);
}

/// One sentence for each foreseen misspelling that the host has.
template <class Host>
consteval void require_well_spelt_hooks() {
  require_no_misspelt_hook<Host, train_step_misspelt, trainingStep_misspelt, val_step_misspelt, valid_step_misspelt,
                           configure_optimizer_misspelt, training_epoch_end_misspelt, training_step_end_misspelt,
                           validation_epoch_end_misspelt, on_training_start_misspelt, on_training_end_misspelt,
                           on_epoch_start_misspelt, on_epoch_end_misspelt, on_batch_start_misspelt,
                           on_batch_end_misspelt>();
}

}  // namespace fulgurite::hooks

#undef FULGURITE_MISSPELT
