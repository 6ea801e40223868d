// SPDX-License-Identifier: MIT
// Reads the pickles of torch.save: protocols 2 to 5, as data. Nothing that a pickle names is looked up or run: tensors and
// containers are known by their names, and any other class gives an object of which only the name and the state are kept.
#pragma once

#include <c10/core/ScalarType.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "input_bytes.hpp"
#include "number_formats.hpp"
#include "zip_reader.hpp"

namespace fulgurite::detail {

/// Where the values of a tensor are in a file: checked against the record that holds them.
struct SavedTensor {
  std::size_t record = 0;
  at::ScalarType type = at::kFloat;
  std::int64_t offset = 0;  // in values, as strides are
  std::vector<std::int64_t> sizes{}, strides{};
};

/// A value of a pickle. Others are named by their numbers, since a pickle may hold one value at several places, or in
/// itself.
struct PickledValue {
  enum class Kind {
    none, boolean, integer, real, complex, text, bytes, list, tuple, set, dict, global, storage, tensor, object
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;              // boolean, integer; of a storage its length; of a tensor its place in `tensors`
  double real = 0.0, imaginary = 0.0;
  std::string text{};                    // text, bytes; "module name" of a global and of an object's class
  std::vector<std::uint32_t> items = {}; // of containers, keys and values in turn; of an object the state that it was given
  std::size_t record = 0;                // storage
  at::ScalarType type = at::kByte;       // storage
};

class Unpickler {
 public:
  using Kind = PickledValue::Kind;

  /// `archive`: has the records of tensors. Throws UnreadableFile.
  Unpickler(std::string pickle, const ZipReader& archive) : pickle_(std::move(pickle)), archive_(archive) {
    root_ = run();
    pickle_ = {};
    memo_ = {};
  }

  std::uint32_t root() const { return root_; }
  const PickledValue& operator[](std::uint32_t value) const { return values_[value]; }
  const std::vector<SavedTensor>& tensors() const { return tensors_; }
  const SavedTensor& tensor(const PickledValue& value) const { return tensors_[static_cast<std::size_t>(value.integer)]; }

  /// The value of a dictionary's entry; null if it is not a dictionary, or has no such entry.
  const PickledValue* find(const PickledValue& dict, std::string_view key) const {
    if (dict.kind != Kind::dict) return nullptr;
    for (std::size_t i = dict.items.size(); i > 0; i -= 2) {  // the last one counts
      const PickledValue& each = values_[dict.items[i - 2]];
      if (each.kind == Kind::text && each.text == key) return &values_[dict.items[i - 1]];
    }
    return nullptr;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw UnreadableFile("its data.pkl cannot be read at byte " + std::to_string(at_) + ": " + why);
  }

  // --- bytes -------------------------------------------------------------------------------------------------------

  std::string_view take(std::uint64_t count) {
    if (count > pickle_.size() - at_) refuse("it is cut short");
    const auto bytes = std::string_view(pickle_).substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return bytes;
  }
  std::uint64_t number(std::size_t size) {
    const std::string_view bytes = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  std::string line() {
    const auto end = pickle_.find('\n', at_);
    if (end == std::string::npos) refuse("a name has no end");
    const std::string text = pickle_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  // --- stack -------------------------------------------------------------------------------------------------------

  std::uint32_t add(PickledValue value) {
    values_.push_back(std::move(value));
    return static_cast<std::uint32_t>(values_.size() - 1);
  }
  void push(PickledValue value) { stack_.push_back(add(std::move(value))); }
  void push(Kind kind) { push(PickledValue{.kind = kind}); }
  void push(std::int64_t integer) { push(PickledValue{.kind = Kind::integer, .integer = integer}); }
  void push(bool boolean) { push(PickledValue{.kind = Kind::boolean, .integer = boolean}); }
  void push(Kind kind, std::string_view text) { push(PickledValue{.kind = kind, .text = std::string(text)}); }

  std::size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  std::uint32_t pop() {
    const std::uint32_t value = top();
    stack_.pop_back();
    return value;
  }
  std::uint32_t top() const {
    if (stack_.size() <= bottom()) refuse("a value is missing");
    return stack_.back();
  }
  std::vector<std::uint32_t> pop(std::size_t count) {
    if (stack_.size() - bottom() < count) refuse("a value is missing");
    std::vector<std::uint32_t> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }
  std::vector<std::uint32_t> pop_to_mark() {
    if (marks_.empty()) refuse("a mark is missing");
    auto values = pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }
  void push_all(Kind kind, std::vector<std::uint32_t> values) {
    push(PickledValue{.kind = kind, .items = std::move(values)});
  }

  void append(const std::vector<std::uint32_t>& values, Kind kind) {
    PickledValue& to = values_[top()];
    if (to.kind == Kind::object) return;
    if (to.kind != kind) refuse("values are put into something else than a list, a set or a dictionary");
    if (kind == Kind::dict && values.size() % 2 != 0) refuse("a key has no value");
    to.items.insert(to.items.end(), values.begin(), values.end());
  }

  // --- the machine -------------------------------------------------------------------------------------------------

  std::uint32_t run() {
    while (true) {
      const auto code = static_cast<unsigned char>(take(1)[0]);
      switch (code) {
        case 0x80:  // PROTO
          if (const auto protocol = number(1); protocol < 2 || protocol > 5) {
            refuse("it has protocol " + std::to_string(protocol));
          }
          break;
        case 0x95: number(8); break;  // FRAME
        case '.':                     // STOP
          if (stack_.size() != 1 || !marks_.empty()) refuse("it does not end with exactly one value");
          return stack_.back();
        case '(': marks_.push_back(stack_.size()); break;
        case '0':  // POP
          if (stack_.size() == bottom() && !marks_.empty()) {
            marks_.pop_back();
          } else {
            pop();
          }
          break;
        case '1': pop_to_mark(); break;
        case '2': stack_.push_back(top()); break;

        case 'N': push(Kind::none); break;
        case 0x88: push(true); break;
        case 0x89: push(false); break;
        case 'J': push(std::int64_t{static_cast<std::int32_t>(number(4))}); break;
        case 'K': push(static_cast<std::int64_t>(number(1))); break;
        case 'M': push(static_cast<std::int64_t>(number(2))); break;
        case 0x8a: push_long(number(1)); break;
        case 0x8b: push_long(number(4)); break;
        case 'G': {
          std::uint64_t bits = 0;
          for (const char byte : take(8)) bits = bits << 8U | static_cast<unsigned char>(byte);
          push(PickledValue{.kind = Kind::real, .real = std::bit_cast<double>(bits)});
          break;
        }
        case 0x8c:  // text, and what Python 2 wrote as such
        case 'U': push(Kind::text, take(number(1))); break;
        case 'X':
        case 'T': push(Kind::text, take(number(4))); break;
        case 0x8d: push(Kind::text, take(number(8))); break;
        case 'C': push(Kind::bytes, take(number(1))); break;
        case 'B': push(Kind::bytes, take(number(4))); break;
        case 0x8e:
        case 0x96: push(Kind::bytes, take(number(8))); break;

        case ']': push(Kind::list); break;
        case '}': push(Kind::dict); break;
        case 0x8f: push(Kind::set); break;
        case ')': push(Kind::tuple); break;
        case 'l': push_all(Kind::list, pop_to_mark()); break;
        case 't': push_all(Kind::tuple, pop_to_mark()); break;
        case 0x85: push_all(Kind::tuple, pop(1)); break;
        case 0x86: push_all(Kind::tuple, pop(2)); break;
        case 0x87: push_all(Kind::tuple, pop(3)); break;
        case 0x91: push_all(Kind::set, pop_to_mark()); break;
        case 'd': {
          auto entries = pop_to_mark();
          push(Kind::dict);
          append(entries, Kind::dict);
          break;
        }
        case 'a': append(pop(1), Kind::list); break;
        case 'e': append(pop_to_mark(), Kind::list); break;
        case 's': append(pop(2), Kind::dict); break;
        case 'u': append(pop_to_mark(), Kind::dict); break;
        case 0x90: append(pop_to_mark(), Kind::set); break;

        case 'q': memo_[static_cast<std::uint32_t>(number(1))] = top(); break;
        case 'r': memo_[static_cast<std::uint32_t>(number(4))] = top(); break;
        case 0x94: memo_[static_cast<std::uint32_t>(memo_.size())] = top(); break;
        case 'h': recall(number(1)); break;
        case 'j': recall(number(4)); break;

        case 'c': {
          std::string name = line();
          name += ' ';
          name += line();
          push(Kind::global, name);
          break;
        }
        case 0x93: {  // STACK_GLOBAL
          const std::uint32_t name = pop(), module = pop();
          if (values_[name].kind != Kind::text || values_[module].kind != Kind::text) refuse("a name is not a text");
          push(Kind::global, values_[module].text + ' ' + values_[name].text);
          break;
        }
        case 'R':     // REDUCE
        case 0x81: {  // NEWOBJ
          const std::uint32_t arguments = pop(), what = pop();
          stack_.push_back(call(what, arguments));
          break;
        }
        case 0x92: {  // NEWOBJ_EX
          pop();
          const std::uint32_t arguments = pop(), what = pop();
          stack_.push_back(call(what, arguments));
          break;
        }
        case 'b': {  // BUILD: attributes of a tensor or a dictionary are no weights
          const std::uint32_t state = pop();
          if (PickledValue& object = values_[top()]; object.kind == Kind::object) object.items = {state};
          break;
        }
        case 'Q': stack_.push_back(storage(pop())); break;
        default: at_ -= 1; refuse("it has an unknown instruction, " + std::to_string(code));
      }
    }
  }

  void recall(std::uint64_t number) {
    const auto found = memo_.find(static_cast<std::uint32_t>(number));
    if (found == memo_.end()) refuse("it refers to a value that it does not have");
    stack_.push_back(found->second);
  }

  /// Whole numbers beyond 64 bits stay unknown.
  void push_long(std::uint64_t size) {
    const std::string_view bytes = take(size);
    const bool is_negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0;
    if (bytes.size() > 8) return push(Kind::object, "builtins int");
    std::uint64_t value = is_negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
    push(static_cast<std::int64_t>(value));
  }

  // --- what is known by name ---------------------------------------------------------------------------------------

  static constexpr std::size_t most_arguments = 16;  // of the functions below, and more

  const PickledValue& argument(const PickledValue& arguments, std::size_t number, Kind kind) const {
    if (arguments.items.size() <= number || values_[arguments.items[number]].kind != kind) {
      refuse("a tensor or container is made of something else than torch.save makes it of");
    }
    return values_[arguments.items[number]];
  }

  std::uint32_t call(std::uint32_t what, std::uint32_t given) {
    if (values_[given].kind != Kind::tuple) refuse("arguments are not a tuple");
    if (values_[what].kind != Kind::global) {
      if (values_[what].kind != Kind::object) refuse("something is called that is neither a class nor a function");
      return add(PickledValue{.kind = Kind::object, .text = values_[what].text});
    }
    const std::string name = values_[what].text;
    const std::size_t count = values_[given].items.size();
    if (count > most_arguments) return add(PickledValue{.kind = Kind::object, .text = name});
    const PickledValue arguments = values_[given];  // (a copy: adding a value moves the others)
    if (name == "collections OrderedDict" || name == "collections Counter") {
      if (count == 0) return add(PickledValue{.kind = Kind::dict});
      return dict_of(values_[arguments.items[0]]);
    }
    if (name == "torch._utils _rebuild_tensor_v2" || name == "torch._utils _rebuild_tensor_v3") {
      return tensor_of(arguments, name.ends_with('3'));
    }
    if (name == "torch._utils _rebuild_parameter" || name == "torch._utils _rebuild_parameter_with_state") {
      argument(arguments, 0, Kind::tensor);
      return arguments.items[0];
    }
    if (name == "torch._tensor _rebuild_from_type_v2") {  // a subclass of tensors, or one with attributes
      argument(arguments, 0, Kind::global);
      argument(arguments, 2, Kind::tuple);
      const bool again = values_[arguments.items[0]].text == name;
      if (again) refuse("a tensor is made of itself");
      return call(arguments.items[0], arguments.items[2]);
    }
    if (name == "torch Size" || name.starts_with("torch.jit._pickle build_") ||
        name == "torch.jit._pickle restore_type_tag") {
      if (count > 0 && is_container(values_[arguments.items[0]].kind)) return arguments.items[0];
      if (name == "torch.jit._pickle restore_type_tag") refuse("a type is given to what has none");
    }
    if (is_of_builtins(name, "set") || is_of_builtins(name, "frozenset")) {
      PickledValue set{.kind = Kind::set};
      if (count > 0) set.items = argument(arguments, 0, Kind::list).items;
      return add_copy(std::move(set));
    }
    if (is_of_builtins(name, "complex") && count == 2) {
      return add(PickledValue{.kind = Kind::complex,
                              .real = argument(arguments, 0, Kind::real).real,
                              .imaginary = argument(arguments, 1, Kind::real).real});
    }
    if (name == "_codecs encode" && count == 2) {
      return add(PickledValue{.kind = Kind::bytes, .text = latin1(argument(arguments, 0, Kind::text).text)});
    }
    return add(PickledValue{.kind = Kind::object, .text = name});
  }

  static bool is_container(Kind kind) {
    return kind == Kind::list || kind == Kind::tuple || kind == Kind::dict || kind == Kind::set;
  }
  static bool is_of_builtins(std::string_view name, std::string_view type) {
    return name.ends_with(type) &&
           (name.size() == type.size() + 9 ? name.starts_with("builtins ")
                                           : name.size() == type.size() + 12 && name.starts_with("__builtin__ "));
  }

  /// The bytes that a text of the characters 0 to 255 stands for.
  std::string latin1(std::string_view utf8) const {
    std::string bytes;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      auto byte = static_cast<unsigned char>(utf8[i]);
      if (byte >= 0x80) {
        if ((byte & 0xfcU) != 0xc0 || i + 1 == utf8.size()) refuse("a text of bytes has a character beyond 255");
        byte = static_cast<unsigned char>((byte & 3U) << 6U | (static_cast<unsigned char>(utf8[++i]) & 0x3fU));
      }
      bytes += static_cast<char>(byte);
    }
    return bytes;
  }

  /// A dictionary of another one, or of pairs.
  std::uint32_t dict_of(const PickledValue& entries) {
    PickledValue dict{.kind = Kind::dict};
    if (entries.kind == Kind::dict) {
      dict.items = entries.items;
    } else {
      if (!is_container(entries.kind)) refuse("a dictionary is made of something else than its entries");
      for (const std::uint32_t each : entries.items) {
        const PickledValue& pair = values_[each];
        if (!is_container(pair.kind) || pair.items.size() != 2) {
          refuse("a dictionary is made of something else than its entries");
        }
        dict.items.insert(dict.items.end(), pair.items.begin(), pair.items.end());
      }
    }
    return add_copy(std::move(dict));
  }

  /// A pickle that copies more items than it has bytes was made to exhaust memory.
  std::uint32_t add_copy(PickledValue container) {
    copied_ += container.items.size();
    if (copied_ > pickle_.size()) refuse("it copies its containers again and again");
    return add(std::move(container));
  }

  /// The memory of tensors, which its pickle names by ("storage", type, key, device, number of values).
  std::uint32_t storage(std::uint32_t id) {
    const PickledValue& parts = values_[id];
    if (parts.kind != Kind::tuple || argument(parts, 0, Kind::text).text != "storage") {
      refuse("it refers to something else than a tensor's memory");
    }
    std::string_view type = argument(parts, 1, Kind::global).text;
    const std::string& key = argument(parts, 2, Kind::text).text;
    const std::int64_t length = argument(parts, 4, Kind::integer).integer;
    for (const std::string_view prefix : {"torch.storage ", "torch.cuda ", "torch "}) {
      if (!type.starts_with(prefix)) continue;
      type.remove_prefix(prefix.size());
      break;
    }
    PickledValue storage{.kind = Kind::storage, .integer = length};
    bool is_known = type == "UntypedStorage";
    for (const NumberFormat& format : number_formats) {
      if (format.storage != type || type.empty()) continue;
      storage.type = format.type;
      is_known = true;
    }
    if (!is_known) refuse("a tensor has an unknown number format, " + std::string(type));
    storage.record = archive_.find("data/" + key);
    if (storage.record == archive_.records().size()) {
      refuse("a tensor is in a record data/" + key + ", which the file does not have");
    }
    const ZipRecord& record = archive_.records()[storage.record];
    if (!record.stored || length < 0 || record.size / c10::elementSize(storage.type) != static_cast<std::uint64_t>(length)) {
      refuse("a tensor needs " + std::to_string(length) + " values in the record data/" + key + ", which has " +
             std::to_string(record.size) + " bytes");
    }
    return add(std::move(storage));
  }

  std::vector<std::int64_t> numbers(const PickledValue& tuple) const {
    std::vector<std::int64_t> values;
    for (const std::uint32_t each : tuple.items) {
      if (values_[each].kind != Kind::integer || values_[each].integer < 0) {
        refuse("a tensor has a size or stride that is not a number from 0 on");
      }
      values.push_back(values_[each].integer);
    }
    return values;
  }

  /// Of (storage, offset, sizes, strides, requires_grad, hooks[, number format][, metadata]).
  std::uint32_t tensor_of(const PickledValue& arguments, bool names_format) {
    const PickledValue& storage = argument(arguments, 0, Kind::storage);
    SavedTensor tensor{
        .record = storage.record, .type = storage.type, .offset = argument(arguments, 1, Kind::integer).integer};
    tensor.sizes = numbers(argument(arguments, 2, Kind::tuple));
    tensor.strides = numbers(argument(arguments, 3, Kind::tuple));
    if (names_format) {
      const std::string_view name = argument(arguments, 6, Kind::global).text;
      bool is_known = false;
      for (const NumberFormat& format : number_formats) {
        if (name.size() != 6 + format.name.size() || !name.starts_with("torch ") || !name.ends_with(format.name)) continue;
        tensor.type = format.type;
        is_known = true;
      }
      if (!is_known) refuse("a tensor has an unknown number format, " + std::string(name));
    }
    const std::size_t metadata = names_format ? 7 : 6;
    if (arguments.items.size() > metadata) {
      const PickledValue& dict = values_[arguments.items[metadata]];
      for (std::size_t i = 1; i < dict.items.size(); i += 2) {
        if (values_[dict.items[i]].integer != 0) {
          refuse("a tensor is to be conjugated or negated when it is read: save tensor.resolve_conj().resolve_neg()");
        }
      }
    }
    require_within(tensor);
    tensors_.push_back(std::move(tensor));
    return add(PickledValue{.kind = Kind::tensor, .integer = static_cast<std::int64_t>(tensors_.size() - 1)});
  }

  /// Throws unless all values of a tensor are in its record.
  void require_within(const SavedTensor& tensor) const {
    constexpr std::size_t most_dimensions = 64;  // what LibTorch's kernels take
    const auto values = static_cast<std::int64_t>(archive_.records()[tensor.record].size / c10::elementSize(tensor.type));
    std::int64_t count = 1, last = tensor.offset;
    bool fits = tensor.sizes.size() == tensor.strides.size() && tensor.sizes.size() <= most_dimensions && tensor.offset >= 0;
    bool is_empty = false;
    for (const std::int64_t size : tensor.sizes) is_empty |= size == 0;
    for (std::size_t i = 0; fits && i < tensor.sizes.size(); ++i) {
      std::int64_t way = 0;
      fits = !__builtin_mul_overflow(count, is_empty ? 1 : tensor.sizes[i], &count);
      if (!is_empty) {
        fits = fits && !__builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i], &way) &&
               !__builtin_add_overflow(last, way, &last);
      }
    }
    if (!fits || (is_empty ? tensor.offset > values : last >= values)) {
      refuse("a tensor reaches beyond its record " + archive_.records()[tensor.record].name);
    }
  }

  std::string pickle_;
  const ZipReader& archive_;
  std::size_t at_ = 0, copied_ = 0;
  std::vector<PickledValue> values_;
  std::vector<SavedTensor> tensors_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, std::uint32_t> memo_;
  std::uint32_t root_ = 0;
};

}  // namespace fulgurite::detail
