// SPDX-License-Identifier: MIT
// What optimizers over LibTorch's multi-tensor kernels share: groups, which parameters got a gradient, state, its dict.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/gradients.hpp>
#include "detail/gradient_list.hpp"
#include "parameters.hpp"
#include "state_dict.hpp"
#include "storage.hpp"

namespace fulgurite::detail {

template <class Options>
concept HasBetas = requires(Options& options) { options.betas.first; };
template <class Options>
concept HasMomentumOption = requires(Options& options) { options.momentum; };

/// The momentum that schedules drive, as Python's OneCycleLR chooses it.
template <class Options>
auto& momentum_of(Options& options) {
  if constexpr (HasBetas<Options>) {
    return options.betas.first;
  } else {
    return options.momentum;
  }
}

/// A number that no optimizer had before.
inline std::uint64_t next_revision() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// What a fused kernel takes beside lists and options.
struct FusedArguments {
  const at::Tensor& lr;                // of the part
  std::optional<at::Tensor> divisor;   // of gradients
  std::optional<at::Tensor> found_inf;
};

/// A parameter without gradient keeps its value and its state, as in PyTorch. The kernels of `Derived` work on *parts*:
/// the parameters of a group that have a gradient and share what the formulas need. A steady step finds its parts as the
/// last one left them and only fetches gradients.
///
/// `Derived` has `name`, `state_names` (Python's) and `constants`, `update(options, part)` or, if `fused`,
/// `update(options, part, arguments)`, and hides what differs from the defaults below. `States`: tensors that a
/// parameter's state may have; `Numbers`: its numbers beside the step count, float32 as in Python.
template <class Derived, class Options, std::size_t States, std::size_t Numbers = 0>
class GroupedOptimizer {
 public:
  template <class Precision>
  using backend = TensorBackend<Precision>;

  /// What one call of the kernels works on, list by list, in the same order.
  struct Part {
    at::Device device;
    at::ScalarType dtype;
    int kind;
    std::vector<std::size_t> members;  // of the group
    std::vector<at::Tensor> parameters;
    GradientList gradients;            // during a step
    std::array<std::vector<at::Tensor>, States> states;  // empty: not in use
    std::vector<at::Tensor> steps;        // of a fused kernel: updates made, this one included; float32, of no dimension.
                                          // If Derived has none: what it gives to a kernel that asks for some
    at::Tensor all_steps;                 // the memory of `steps`
    at::Tensor lr;                        // of a fused kernel: the group's, or its copy on a GPU (rate_for)
    double lr_there = 0.0;                // what lies in that copy
    double count;                         // updates made, this one included; if Derived::uniform
    std::array<double, Numbers> numbers;  // if Derived::uniform
    std::int64_t elements = 0;            // of all parameters
  };

  // --- what Derived may hide ---
  static constexpr bool fused = false;        // the kernel takes tensors for rate, steps, divisor and found_inf
  static constexpr bool counts_steps = true;  // Python's state has a "step"
  static constexpr bool uniform = false;      // the parameters of a part have made equally many updates
  static constexpr bool eager = false;        // state is made with the optimizer, not with the first gradient
  static constexpr std::array<const char*, Numbers> number_names{};
  static constexpr bool elementwise = true;   // no formula looks beyond one element
  /// See the concept RepeatsUpdate: fused kernels read from tensors whatever changes from step to step.
  static constexpr bool repeats_update = Derived::fused;
  /// Whether a parameter's state has the `k`-th tensor.
  static bool uses(const Options&, const at::Tensor& /*parameter*/, std::size_t /*k*/) { return true; }
  static at::Tensor make_state(const Options&, const at::Tensor& parameter, std::size_t /*k*/) {
    return at::zeros_like(parameter);
  }
  static std::array<double, Numbers> first_numbers(const Options&) { return {}; }
  /// Why it cannot train a parameter: what follows "was given a parameter ". Empty if it can.
  static std::string problem_with(const at::Tensor& /*parameter*/) { return {}; }
  /// Parameters of different kinds are never in one part.
  static int kind_of(const at::Tensor& /*parameter*/) { return 0; }

  GroupedOptimizer(std::vector<at::Tensor> parameters, Options options)
      : GroupedOptimizer(std::vector<ParameterGroup<Options>>{{std::move(parameters), std::move(options)}}) {}

  explicit GroupedOptimizer(std::vector<ParameterGroup<Options>> groups) : GroupedOptimizer(std::move(groups), false) {}

  GroupedOptimizer(std::vector<at::Tensor> parameters, Options options, Contiguous storage)
      : GroupedOptimizer(std::vector<ParameterGroup<Options>>{{std::move(parameters), std::move(options)}}, storage) {}

  GroupedOptimizer(std::vector<ParameterGroup<Options>> groups, Contiguous) : GroupedOptimizer(std::move(groups), true) {
    static_assert(Derived::elementwise,
                  "fg::Contiguous hides the shapes of parameters, on which this optimizer works: leave it out. "
                  "See docs/errors/contiguous.md");
  }

  GroupedOptimizer(GroupedOptimizer&&) = default;  // no copies: two optimizers would share their state
  GroupedOptimizer& operator=(GroupedOptimizer&&) = default;

  /// Updates every parameter that has a gradient. Throws std::invalid_argument before anything is changed.
  void step() {
    const c10::NoGradGuard no_grad;
    const LetGo let_go{*this};
    scale_.begin_step(Derived::name);
    if (scale_.must_be_checked()) gradients().divide_by_scale();
    bool steady = true;
    for (Group& group : groups_) steady &= gather(group);
    // Only a fused kernel heeds found_inf by itself, and it cannot take back a state that was made for it.
    if ((Derived::fused && steady) || !scale_.skips()) {
      const at::Tensor divisor = scale_.divisor();
      bring_rates();
      for (Group& group : groups_) {
        if (group.stale) arrange(group);
        for (Part& part : group.parts) update(group, part, divisor);
      }
    }
    scale_.end_step();
  }

  /// Forgets all gradients.
  void zero_grad() {
    for (Group& group : groups_) {
      if (group.flat) {
        group.flat->zero_grad();
      } else {
        for (at::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
      }
    }
    mark_gradients_new();
  }
  /// Marks the gradients as new ones, which the loss scale has not divided, as zero_grad() does. For a replay, which zeroes
  /// gradients without the optimizer.
  void mark_gradients_new() { scale_.stage->begin_anew(); }

  /// From now on the loss is multiplied by `scale`, so a step divides gradients by it. It writes into `found_inf` whether a
  /// gradient is not finite (1, else 0), and does nothing then. Both stay where they lie: float32, one element. An undefined
  /// tensor: none. An fg::LossScale, which calls this, also gives the `stage` that it shares.
  void set_loss_scale(const at::Tensor& scale, const at::Tensor& found_inf, std::shared_ptr<GradientStage> stage = nullptr) {
    for (const at::Tensor& tensor : {scale, found_inf}) {
      if (tensor.defined() && (tensor.numel() != 1 || tensor.scalar_type() != at::kFloat)) {
        throw std::invalid_argument("fulgurite: " + std::string(Derived::name) +
                                    " takes a loss scale and a found_inf of one "
                                    "float32 element each, and was given " +
                                    shape_of(tensor) + " " + at::toString(tensor.scalar_type()));
      }
    }
    scale_.set(scale, found_inf, std::move(stage));
    revision_ = next_revision();
  }

  /// Throws std::invalid_argument for a sparse gradient, which step() would refuse.
  Gradients gradients() {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> all, flat;
    for (Group& group : groups_) {
      if (group.flat) {
        require_usable_gradients(group);
        group.flat->fetch(Derived::name);
        for (const at::Tensor& memory : group.flat->flats()) flat.push_back(gradient_of(memory));
      }
      all.reserve(all.size() + group.given.size());
      for (std::size_t i = 0; i < group.given.size(); ++i) {
        const at::Tensor& gradient = gradient_of(group.given[i]);
        if (!gradient.defined()) continue;
        if (gradient.layout() != at::kStrided) refuse(gradient, group.given[i], group.number(i));
        all.push_back(gradient);
      }
    }
    return flat.empty() ? Gradients(std::move(all), &scale_) : Gradients(std::move(flat), std::move(all), &scale_);
  }

  std::int64_t group_count() const { return static_cast<std::int64_t>(groups_.size()); }
  const std::vector<at::Tensor>& parameters(std::int64_t group = 0) const { return at(group).given; }
  const Options& options(std::int64_t group = 0) const { return at(group).options; }
  /// Calls f(parameter) for the parameters of all groups.
  template <class F>
  void for_each_parameter(F&& f) const {
    for (const Group& group : groups_) {
      for (const at::Tensor& parameter : group.given) f(parameter);
    }
  }

  /// Calls f(name, tensor) for what updates write beside parameters.
  template <class F>
  void for_each_state(F&& f) const {
    for (const Group& group : groups_) {
      for (std::size_t i = 0; i < group.state.size(); ++i) {
        for (std::size_t k = 0; k < States; ++k) {
          const at::Tensor& tensor = group.state[i].tensors[k];
          if (!tensor.defined()) continue;
          f(Derived::state_names[k] + std::string(group.flat ? " of flat memory " : " of parameter ") +
                std::to_string(group.flat ? static_cast<std::int64_t>(i) : group.number(i)),
            tensor);
        }
      }
      for (const Part& part : group.parts) {
        if (part.all_steps.defined()) f("the count of updates", part.all_steps);
      }
    }
  }

  /// Throws std::invalid_argument for options that make no sense.
  void set_options(std::int64_t group, Options options) {
    if (const char* problem = options.problem()) {
      throw std::invalid_argument("fulgurite: " + std::string(Derived::name) + " " + problem);
    }
    at(group).options = std::move(options);
    at(group).stale = true;
    set_lr(group, at(group).options.lr);
    revision_ = next_revision();
  }

  /// Another number after whatever makes updates other ones, but for the step and for a learning rate that lies in a tensor
  /// where the kernels run.
  std::uint64_t revision() const { return revision_; }

  double lr(std::int64_t group) const { return at(group).options.lr; }
  /// Throws std::invalid_argument for a rate that the optimizer could not be made with.
  void set_lr(std::int64_t group, double lr) {
    Group& changed = at(group);
    lr = valid_lr(Derived::name, lr);
    changed.options.lr = lr;
    double& rate = *changed.lr.template mutable_data_ptr<double>();
    if (std::exchange(rate, lr) == lr) return;
    for (const Part& part : changed.parts) {
      if (!part.device.is_cpu() && part.lr.is_same(changed.lr)) {
        revision_ = next_revision();  // the kernel was given a number
      }
    }
  }
  /// Brings learning rates to where the kernels read them, as `step()` does. Who captures or replays one calls it before: a
  /// rate that is brought within a graph would come back with every replay.
  void bring_rates() {
    if constexpr (Derived::fused) {
      for (Group& group : groups_) {
        for (Part& part : group.parts) {
          if (part.lr.is_same(group.lr) || part.lr_there == group.options.lr) continue;
          part.lr.fill_(group.options.lr);
          part.lr_there = group.options.lr;
        }
      }
    }
  }

  double momentum(std::int64_t group) const
    requires(HasBetas<Options> || HasMomentumOption<Options>)
  {
    return momentum_of(at(group).options);
  }
  /// Throws std::invalid_argument for a momentum that the optimizer could not be made with.
  void set_momentum(std::int64_t group, double momentum)
    requires(HasBetas<Options> || HasMomentumOption<Options>)
  {
    double& current = momentum_of(at(group).options);
    if (current == momentum) return;
    Options changed = at(group).options;
    momentum_of(changed) = momentum;
    if (const char* problem = changed.problem()) {
      throw std::invalid_argument("fulgurite: " + std::string(Derived::name) + " " + problem +
                                  ", and set_momentum was given " + detail::text_of(momentum));
    }
    at(group).stale |= (current == 0.0) != (momentum == 0.0);  // a momentum needs a buffer
    revision_ = next_revision();
    current = momentum;
  }

  /// Options and state in the layout of Python's `state_dict()`. Tensors are the optimizer's own, except step counts.
  c10::IValue state_dict() const {
    auto state = new_dict(c10::IntType::get());
    auto groups = new_list();
    for (const Group& group : groups_) {
      for (std::size_t i = 0; i < group.given.size(); ++i) {
        if (has_state(group.state[group.place(i)])) state.insert(group.number(i), saved(group, i));
      }
      groups.push_back(group_to_ivalue(group.options, Derived::constants, group.number(0), group.given.size()));
    }
    auto dict = new_dict(c10::StringType::get());
    dict.insert("state", state);
    dict.insert("param_groups", groups);
    return dict;
  }

  /// Takes options and state from what `state_dict()` gave here or in Python. Throws std::invalid_argument for the state
  /// of another optimizer or model, before anything is changed.
  void load_state_dict(const c10::IValue& state_dict) {
    const c10::NoGradGuard no_grad;
    const SavedState saved(Derived::name, state_dict);
    saved.require_groups(groups_.size());
    std::vector<Options> options;
    std::vector<std::vector<ParameterState>> states;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Group& group = groups_[g];
      options.push_back(group.options);
      const auto keys = saved.read_group(g, group.given.size(), options.back());
      auto& state = states.emplace_back(group.parameters.size());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto entry = saved.state_of(keys[i]);
        if (entry) load(state[group.place(i)], saved, *entry, options.back(), group, i);
      }
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      groups_[g].state = std::move(states[g]);
      set_options(static_cast<std::int64_t>(g), std::move(options[g]));
      if constexpr (Derived::eager) {
        for (std::size_t i = 0; i < groups_[g].state.size(); ++i) make_missing_state(groups_[g], i);
      }
    }
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive.state_dict("state_dict", static_cast<Derived&>(*this));
    archive("next_update", scale_);
  }

 protected:
  /// Makes the gradients of a part those of the loss to minimise with its L2 penalty, in tensors of their own.
  static void penalise(Part& part, bool maximize, double weight_decay) {
    if (maximize) part.gradients = at::_foreach_neg(part.gradients);
    if (weight_decay == 0.0) return;
    if (maximize) {
      at::_foreach_add_(part.gradients, part.parameters, weight_decay);
    } else {
      part.gradients = at::_foreach_add(part.gradients, part.parameters, weight_decay);
    }
  }

 private:
  struct ParameterState {
    std::array<at::Tensor, States> tensors;  // undefined: not made yet, or not in use
    at::Tensor step;                         // of a fused kernel; undefined: 0
    double count = 0.0;                      // updates made, if no tensor counts them
    std::array<double, Numbers> numbers{};
  };

  struct Group {
    std::vector<at::Tensor> given;  // by the user
    Options options;
    std::size_t first;                  // number of the first parameter, counted over all groups
    std::optional<FlatStorage> flat{};  // nullopt: every tensor for itself
    std::vector<at::Tensor> parameters{};  // what is updated: those given, or the flat tensors that hold them
    at::Tensor lr{};  // float64, on the host
    std::vector<ParameterState> state{};
    std::vector<Part> parts{};
    std::vector<std::size_t> idle{};  // parameters that had no gradient when the parts were made
    bool stale = true;                // the parts have to be made anew

    std::int64_t number(std::size_t i) const { return static_cast<std::int64_t>(first + i); }

    /// Which of `parameters` holds the `i`-th given one, and its view of a state tensor of it.
    std::size_t place(std::size_t i) const { return flat ? flat->slice(i).flat : i; }
    at::Tensor view(const at::Tensor& state_tensor, std::size_t i) const {
      return flat ? flat->slice(i).of(state_tensor, given[i]) : state_tensor;
    }
  };

  /// After a step: a list that held gradients would keep backward from reusing their memory.
  struct LetGo {
    GroupedOptimizer& optimizer;
    ~LetGo() {
      for (Group& group : optimizer.groups_) {
        for (Part& part : group.parts) part.gradients.let_go();
      }
    }
  };

  GroupedOptimizer(std::vector<ParameterGroup<Options>> groups, bool contiguous) {
    require_trainable(groups, Derived::name);
    std::size_t first = 0;
    for (auto& group : groups) {
      groups_.push_back(Group{std::move(group.parameters), std::move(group.options), first});
      first += groups_.back().given.size();
      for (std::size_t i = 0; i < groups_.back().given.size(); ++i) require_suitable(groups_.back(), i);
    }
    const c10::NoGradGuard no_grad;
    for (Group& group : groups_) {
      if (contiguous) group.flat.emplace(group.given);
      group.parameters = contiguous ? group.flat->flats() : group.given;
      group.lr = at::scalar_tensor(group.options.lr, at::kDouble);
      group.state.resize(group.parameters.size());
      for (std::size_t i = 0; i < group.parameters.size(); ++i) {
        if constexpr (Derived::eager) make_missing_state(group, i);
      }
    }
  }

  static void require_suitable(const Group& group, std::size_t i) {
    const std::string problem = Derived::problem_with(group.given[i]);
    if (problem.empty()) return;
    throw std::invalid_argument("fulgurite: " + std::string(Derived::name) + " was given a parameter (number " +
                                std::to_string(group.number(i)) + ") " + problem);
  }

  Group& at(std::int64_t group) { return groups_.at(static_cast<std::size_t>(group)); }
  const Group& at(std::int64_t group) const { return groups_.at(static_cast<std::size_t>(group)); }

  /// Fetches gradients into the parts. False, with every gradient checked, if other parameters have one than last time.
  bool gather(Group& group) {
    if (group.flat) {
      require_usable_gradients(group);
      group.flat->fetch(Derived::name);
    }
    if (!group.stale && fetch(group)) return true;
    group.stale = true;
    require_usable_gradients(group);
    return false;
  }

  static void require_usable_gradients(const Group& group) {
    for (std::size_t i = 0; i < group.given.size(); ++i) {
      const at::Tensor& gradient = gradient_of(group.given[i]);
      if (gradient.defined()) require_usable(gradient, group.given[i], group.number(i));
    }
  }

  bool fetch(Group& group) {
    for (const std::size_t i : group.idle) {
      if (gradient_of(group.parameters[i]).defined()) return false;
    }
    for (Part& part : group.parts) {
      part.gradients.let_go();
      for (std::size_t j = 0; j < part.members.size(); ++j) {
        const at::Tensor& gradient = gradient_of(part.parameters[j]);
        if (!gradient.defined()) return false;
        require_usable(gradient, part.parameters[j], group.number(part.members[j]));
        take_gradient(part, gradient, part.parameters[j]);
      }
    }
    return true;
  }

  /// As `parameter.grad()`, which asks first whether it has to warn of a tensor that autograd gives none.
  static const at::Tensor& gradient_of(const at::Tensor& parameter) { return parameter.unsafeGetTensorImpl()->grad(); }

  static void require_usable(const at::Tensor& gradient, const at::Tensor& parameter, std::int64_t number) {
    const bool usable = gradient.layout() == at::kStrided && gradient.dtype() == parameter.dtype() &&
                        gradient.sizes() == parameter.sizes();
    if (!usable) refuse(gradient, parameter, number);
  }

  [[noreturn]] static void refuse(const at::Tensor& gradient, const at::Tensor& parameter, std::int64_t number) {
    const std::string refusal = "fulgurite: " + std::string(Derived::name) + " was given ";
    const std::string whose = " for parameter " + std::to_string(number);
    if (gradient.layout() != at::kStrided) {
      throw std::invalid_argument(refusal + "a sparse gradient" + whose + ", which its kernel cannot take: use "
                                  "torch::optim::SGD, or Embedding without .sparse(true)");
    }
    throw std::invalid_argument(refusal + "a gradient of another shape or number format" + whose + ": " +
                                shape_of(gradient) + " " + at::toString(gradient.scalar_type()) + " for " +
                                shape_of(parameter) + " " + at::toString(parameter.scalar_type()));
  }

  /// The kernels walk memory: a gradient laid out otherwise than its parameter is copied into the parameter's layout.
  static void take_gradient(Part& part, const at::Tensor& gradient, const at::Tensor& parameter) {
    if (same_layout(gradient, parameter)) {
      part.gradients.borrow(gradient);
    } else {
      part.gradients.keep(at::empty_like(parameter).copy_(gradient));
    }
  }

  static bool same_layout(const at::Tensor& a, const at::Tensor& b) {
    if (a.strides() == b.strides()) return true;
    for (std::int64_t d = 0; d < a.dim(); ++d) {
      if (a.size(d) != 1 && a.stride(d) != b.stride(d)) return false;
    }
    return true;
  }

  /// Makes the parts of a group from the parameters that have a gradient now.
  void arrange(Group& group) {
    revision_ = next_revision();
    group.parts.clear();
    group.idle.clear();
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      const at::Tensor& parameter = group.parameters[i];
      const at::Tensor& gradient = gradient_of(parameter);
      if (!gradient.defined()) {
        group.idle.push_back(i);
        continue;
      }
      make_missing_state(group, i);
      const ParameterState& state = group.state[i];
      Part& part = part_of(group, parameter, state);
      part.members.push_back(i);
      part.elements += parameter.numel();
      part.parameters.push_back(parameter);
      take_gradient(part, gradient, parameter);
      for (std::size_t k = 0; k < States; ++k) {
        if (Derived::uses(group.options, parameter, k)) part.states[k].push_back(state.tensors[k]);
      }
      if constexpr (step_tensors()) {
        part.steps.push_back(state.step.defined()
                                 ? state.step
                                 : at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false)));
      }
    }
    if constexpr (Derived::fused) {
      for (Part& part : group.parts) {
        part.lr = rate_for(part, group);
        part.lr_there = group.options.lr;
      }
    }
    if constexpr (step_tensors()) {
      for (Part& part : group.parts) {
        part.all_steps = at::stack(part.steps);  // one memory, so that one operator counts
        part.steps = part.all_steps.unbind();
        for (std::size_t j = 0; j < part.members.size(); ++j) group.state[part.members[j]].step = part.steps[j];
      }
    }
    group.stale = false;
  }

  /// A CUDA graph of the update reads the rate on its device. LibTorch's kernels take it from there in float32 only, which
  /// is too coarse for float64: those parameters have the host's, and a graph of them its number.
  static at::Tensor rate_for(const Part& part, const Group& group) {
    if (!part.device.is_cuda() || part.dtype == at::kDouble) return group.lr;
    return at::full({}, group.options.lr, at::TensorOptions(part.device).dtype(at::kFloat));
  }

  Part& part_of(Group& group, const at::Tensor& parameter, const ParameterState& state) {
    const int kind = Derived::kind_of(parameter);
    for (Part& part : group.parts) {
      if (part.device != parameter.device() || part.dtype != parameter.scalar_type() || part.kind != kind) continue;
      if (!has_room(part, parameter)) continue;
      if (!Derived::uniform || (part.count == state.count && part.numbers == state.numbers)) return part;
    }
    return group.parts.emplace_back(Part{
        parameter.device(), parameter.scalar_type(), kind, {}, {}, {}, {}, {}, {}, {}, 0.0, state.count, state.numbers});
  }

  /// On a CPU a multi-tensor operator walks its list tensor by tensor, and several of them make an update: short lists stay
  /// in the processor's cache from one to the next.
  static bool has_room(const Part& part, const at::Tensor& parameter) {
    constexpr std::int64_t most_elements = 16 * 1024;
    return Derived::fused || !parameter.is_cpu() || part.elements + parameter.numel() <= most_elements;
  }

  static void make_missing_state(Group& group, std::size_t i) {
    ParameterState& state = group.state[i];
    if (!has_state(state)) state.numbers = Derived::first_numbers(group.options);
    for (std::size_t k = 0; k < States; ++k) {
      if (state.tensors[k].defined() || !Derived::uses(group.options, group.parameters[i], k)) continue;
      state.tensors[k] = Derived::make_state(group.options, group.parameters[i], k);
      if (!Derived::counts_steps) state.count = 0.0;  // what is counted is the state's age
    }
  }

  static bool has_state(const ParameterState& state) {
    for (const at::Tensor& tensor : state.tensors) {
      if (tensor.defined()) return true;
    }
    return false;
  }

  static constexpr bool step_tensors() { return Derived::fused && Derived::counts_steps; }

  void update(Group& group, Part& part, const at::Tensor& divisor) {
    const at::AutoDispatchBelowAutograd below;  // nothing is recorded, and autograd copies every list before it sees that
    const auto there = [&](const at::Tensor& tensor) { return tensor.to(part.device, /*non_blocking=*/true); };
    auto& derived = static_cast<Derived&>(*this);
    if constexpr (step_tensors()) {
      part.all_steps.add_(1);
    } else {
      part.count += 1.0;
    }
    if constexpr (Derived::fused) {
      FusedArguments arguments{part.lr, std::nullopt, std::nullopt};
      if (divisor.defined()) arguments.divisor = there(divisor);
      if (scale_.found_inf.defined()) arguments.found_inf = there(scale_.found_inf);
      derived.update(std::as_const(group.options), part, arguments);
      if constexpr (step_tensors()) {
        if (arguments.found_inf) part.all_steps.sub_(*arguments.found_inf);
      }
    } else {
      if (divisor.defined()) at::_foreach_div_(part.gradients, there(divisor));
      derived.update(std::as_const(group.options), part);
    }
    if constexpr (!step_tensors()) {
      for (const std::size_t i : part.members) {
        group.state[i].count += 1.0;
        group.state[i].numbers = part.numbers;
      }
    }
  }

  static c10::IValue saved(const Group& group, std::size_t i) {
    const ParameterState& state = group.state[group.place(i)];
    auto entry = new_dict(c10::StringType::get());
    if constexpr (Derived::counts_steps) {
      entry.insert("step", state.step.defined() ? state.step.clone() : at::scalar_tensor(state.count, at::kFloat));
    }
    for (std::size_t k = 0; k < Numbers; ++k) {
      entry.insert(Derived::number_names[k], at::scalar_tensor(state.numbers[k], at::kFloat));
    }
    for (std::size_t k = 0; k < States; ++k) {
      if (state.tensors[k].defined()) entry.insert(Derived::state_names[k], group.view(state.tensors[k], i));
    }
    return entry;
  }

  /// Takes what was saved for the `i`-th parameter.
  static void load(ParameterState& state, const SavedState& saved, const c10::IValue& entry, const Options& options,
                   const Group& group, std::size_t i) {
    const at::Tensor& parameter = group.parameters[group.place(i)];
    const std::int64_t number = group.number(i);
    double count = 1.0;
    std::array<double, Numbers> numbers{};
    if constexpr (Derived::counts_steps) count = saved.number(entry, "step", number);
    for (std::size_t k = 0; k < Numbers; ++k) numbers[k] = saved.number(entry, Derived::number_names[k], number);
    if (has_state(state) && (state.count != count || state.numbers != numbers)) {
      saved.refuse("parameter " + std::to_string(number) +
                   " has made other updates than those before it, and "
                   "fg::Contiguous updates all together: load it into an optimizer without fg::Contiguous");
    }
    state.count = count;
    state.numbers = numbers;
    if constexpr (step_tensors()) {
      state.step = at::full({}, count, parameter.options().dtype(at::kFloat).requires_grad(false));
    }
    for (std::size_t k = 0; k < States; ++k) {
      if (!Derived::uses(options, parameter, k)) continue;
      if (!state.tensors[k].defined()) state.tensors[k] = Derived::make_state(options, parameter, k);
      const at::Tensor place = group.view(state.tensors[k], i);
      place.copy_(saved.tensor(entry, Derived::state_names[k], number, place));
    }
  }

  std::vector<Group> groups_;
  GradientScale scale_;
  std::uint64_t revision_ = next_revision();
};

}  // namespace fulgurite::detail
