// SPDX-License-Identifier: MIT
// Pickles that torch.save does not write: each is refused with a sentence, and costs no more memory than it has bytes.
#include <fulgurite/checkpoint/detail/pickle.hpp>
#include <fulgurite/checkpoint/detail/saved_weights.hpp>

#include <ATen/ops/ones.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace detail = fulgurite::detail;
using Catch::Matchers::ContainsSubstring;
using detail::InputBytes;
using detail::TorchFile;
using detail::UnreadableFile;
using namespace std::string_literals;

struct Text {
  std::string text{};
  void write(const void* data, std::size_t size) { text.append(static_cast<const char*>(data), size); }
};

/// A file whose data.pkl is this, behind the protocol and before the end; with 16 bytes in the record data/0.
std::string file_of(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& more = {}) {
  Text file;
  detail::ZipWriter archive(file);
  const std::string whole = "\x80\x02"s + pickle + ".", zeros(16, '\0');
  archive.record("data.pkl", whole.data(), whole.size());
  archive.record("data/0", zeros.data(), zeros.size());
  for (const auto& [name, bytes] : more) archive.record(name, bytes.data(), bytes.size());
  archive.finish();
  return file.text;
}
c10::IValue value_of(const std::string& pickle) {
  const std::string bytes = file_of(pickle);
  return TorchFile(InputBytes(bytes)).value();
}
void require_refused(const std::string& pickle, const std::string& why) {
  INFO(why);
  CHECK_THROWS_AS(value_of(pickle), UnreadableFile);
  CHECK_THROWS_WITH(value_of(pickle), ContainsSubstring(why));
}

std::string text(const std::string& value) { return "X"s + static_cast<char>(value.size()) + "\0\0\0"s + value; }
std::string number(std::int64_t value) {
  std::string bytes = "\x8a\x08"s;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xffU);
  return bytes;
}
std::string tuple(const std::vector<std::int64_t>& numbers) {
  std::string bytes = "(";
  for (const std::int64_t each : numbers) bytes += number(each);
  return bytes + "t";
}
std::string storage(const std::string& type, const std::string& key, std::int64_t length) {
  return "(" + text("storage") + "ctorch\n" + type + "\n" + text(key) + text("cpu") + number(length) + "tQ";
}
std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + tuple(sizes) + tuple(strides) + "\x89NtR"s;
}

TEST_CASE("a tensor must be within its record") {
  const std::string four = storage("FloatStorage", "0", 4);
  CHECK(value_of(tensor(four, 0, {2, 2}, {2, 1})).toTensor().numel() == 4);
  CHECK(value_of(tensor(four, 3, {1000000}, {0})).toTensor().sizes() == at::IntArrayRef{1000000});
  CHECK(value_of(tensor(four, 4, {0, 7}, {1, 1})).toTensor().numel() == 0);
  constexpr std::int64_t large = std::int64_t{1} << 40, largest = 0x7fffffffffffffff;
  for (const std::string& wrong :
       {tensor(four, 1, {2, 2}, {2, 1}), tensor(four, 0, {5}, {1}), tensor(four, 0, {2}, {4}), tensor(four, 5, {0}, {1}),
        tensor(four, largest, {1}, {1}), tensor(four, 0, {2, 2}, {largest, largest}), tensor(four, 0, {large, large}, {0, 0}),
        tensor(four, 0, {2}, {1, 1}), tensor(four, -1, {1}, {1}), tensor(four, 0, std::vector<std::int64_t>(65, 1), std::vector<std::int64_t>(65, 1))}) {
    require_refused(wrong, "a tensor reaches beyond its record data/0");
  }
  require_refused(tensor(four, 0, {-1}, {1}), "a tensor has a size or stride that is not a number from 0 on");
  require_refused(tensor(four, 0, {2}, {-1}), "a tensor has a size or stride that is not a number from 0 on");
  require_refused(tensor(storage("FloatStorage", "0", 5), 0, {1}, {1}), "a tensor needs 5 values in the record data/0, which has 16 bytes");
  require_refused(tensor(storage("FloatStorage", "0", -4), 0, {1}, {1}), "a tensor needs -4 values");
  require_refused(tensor(storage("FloatStorage", "1", 4), 0, {1}, {1}), "a tensor is in a record data/1, which the file does not have");
  require_refused(tensor(storage("QInt8Storage", "0", 16), 0, {1}, {1}), "a tensor has an unknown number format, QInt8Storage");
  require_refused("ctorch._utils\n_rebuild_tensor_v2\n(K\1tR",
                  "a tensor or container is made of something else than torch.save makes it of");
}

TEST_CASE("nothing that a pickle names is run: it is named") {
  require_refused("cos\nsystem\n(" + text("echo") + "tR",
                  "it holds the Python object os.system, and only numbers, texts, tensors and containers of these can be read");
  require_refused("cbuiltins\nexec\n(" + text("1") + "tR", "it holds the Python object builtins.exec");
  require_refused("cposix\nsystem\n", "it holds the Python object posix.system");
  require_refused("c__main__\nNet\n)\x81}b"s, "it holds the Python object __main__.Net");
  require_refused(number(1) + ")R", "something is called that is neither a class nor a function");
  require_refused("(" + text("module") + "tQ", "it refers to something else than a tensor's memory");
}

TEST_CASE("pickles that are cut short, unknown, or do not add up") {
  require_refused("X\xff\xff\xff\xffx", "it is cut short");
  require_refused("\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx", "it is cut short");
  require_refused("\x8b\xff\xff\xff\xff", "it is cut short");
  require_refused("ctorch", "a name has no end");
  require_refused("S'text'\n", "it has an unknown instruction, 83");
  require_refused("\x82\x01"s, "it has an unknown instruction, 130");
  require_refused("\x80\x01N"s, "it has protocol 1");
  require_refused("", "it does not end with exactly one value");
  require_refused("NN", "it does not end with exactly one value");
  require_refused("(N", "it does not end with exactly one value");
  require_refused("t", "a mark is missing");
  require_refused("N(\x86", "a value is missing");
  require_refused("h\x05", "it refers to a value that it does not have");
  require_refused("}(Nu", "a key has no value");
  require_refused("NNa", "values are put into something else than a list, a set or a dictionary");
  require_refused("}]Ns", "a dictionary of it has a key that is neither a text nor a number");
}

TEST_CASE("names, functions and tensors that are given something else than torch.save gives them") {
  const std::string of_tensor = "ctorch._utils\n_rebuild_tensor_v2\n", again = "ctorch._tensor\n_rebuild_from_type_v2\n";
  const std::string conjugated =
      "(" + storage("FloatStorage", "0", 4) + "K\0"s + tuple({4}) + tuple({1}) + "\x89N}(" + text("conj") + "\x88utR";
  struct Row {
    std::string pickle, why;
  };
  const Row rows[] = {
      {"NN\x93", "a name is not a text"},
      {"cos\nsystem\nNR", "arguments are not a tuple"},
      {again + "(" + again + "N)tR", "a tensor is made of itself"},
      {"ctorch.jit._pickle\nrestore_type_tag\n(NNtR", "a type is given to what has none"},
      {"c_codecs\nencode\n(" + text("\xc4\x80") + text("latin1") + "tR", "a text of bytes has a character beyond 255"},
      {"ccollections\nOrderedDict\n(NtR", "a dictionary is made of something else than its entries"},
      {"ccollections\nOrderedDict\n(](K\1etR", "a dictionary is made of something else than its entries"},
      {of_tensor + conjugated,
       "a tensor is to be conjugated or negated when it is read: save tensor.resolve_conj().resolve_neg()"},
  };
  for (const Row& row : rows) {
    INFO(row.why);
    CHECK_THROWS_WITH(value_of(row.pickle),
                      "its data.pkl cannot be read at byte " + std::to_string(row.pickle.size() + 2) + ": " + row.why);
  }
}

TEST_CASE("values within themselves, and nested deeply, are refused; shared ones are not copied") {
  require_refused("]q\1h\1a", "nested more than 200 deep, or contain themselves");
  require_refused("}q\1" + text("a") + "h\1s", "nested more than 200 deep, or contain themselves");
  const auto nested = [](std::size_t depth) { return std::string(depth, ']') + std::string(depth - 1, 'a'); };
  CHECK(value_of(nested(100)).isList());
  require_refused(nested(100000), "nested more than 200 deep, or contain themselves");
  // Two to the power of 100 values, were they copied.
  std::string pairs = "Nq\0"s;
  for (int i = 0; i < 100; ++i) pairs += "h\0\x86q\0"s;  // of the last one and itself
  CHECK(value_of(pairs).isTuple());
  // A container that is copied again and again.
  std::string copies = "]q\1(" + std::string(1000, 'N') + "e0";
  for (int i = 0; i < 1000; ++i) copies += "cbuiltins\nset\n(h\1tR0"s;
  require_refused(copies + "N", "it copies its containers again and again");
}

TEST_CASE("the values of Python: bytes, long numbers, sets, texts of all lengths") {
  const auto list = value_of("](c_codecs\nencode\n(" + text("\xc3\xbfx") + text("latin1") + "tR" + "C\2ab" + "\x8a\0"s + "\x8a\1\xff"s + "M\2\1" +
                             "J\xfe\xff\xff\xff" + "cbuiltins\nset\n(](K\1etR" + "\x8c\1x"s + "G\xbf\xf0\0\0\0\0\0\0"s + "e")
                        .toListRef()
                        .vec();
  REQUIRE(list.size() == 9);
  CHECK(list[0].toStringRef() == "\xffx");
  CHECK(list[1].toStringRef() == "ab");
  CHECK(list[2].toInt() == 0);
  CHECK(list[3].toInt() == -1);
  CHECK(list[4].toInt() == 258);
  CHECK(list[5].toInt() == -2);
  CHECK(list[6].toListRef()[0].toInt() == 1);
  CHECK(list[7].toStringRef() == "x");
  CHECK(list[8].toDouble() == -1.0);
  require_refused("\x8a\x09\0\0\0\0\0\0\0\0\1"s, "it holds the Python object builtins.int");
  const auto dict = value_of("ccollections\nOrderedDict\n)R(" + text("a") + "K\1" + text("a") + "K\2u}b").toGenericDict();
  CHECK(dict.size() == 1);
  CHECK(dict.at("a").toInt() == 2);
}

TEST_CASE("archives of another kind, and numbers in another byte order") {
  const auto require = [](const std::string& bytes, const std::string& why) {
    CHECK_THROWS_WITH(TorchFile(InputBytes(bytes)), ContainsSubstring(why));
  };
  Text file;
  detail::ZipWriter archive(file);
  archive.finish();
  require(file.text, "it is a zip archive, but not one of torch.save: it has no data.pkl");
  require(file_of("N", {{"data/0", "x"}}), "it has two records of one name");
  // As Python writes: without our checksum of the headers, which would have to fit.
  const auto in_place_of = [](std::string bytes, const std::string& from, const std::string& to) {
    for (auto at = bytes.find(from); at != std::string::npos; at = bytes.find(from)) bytes.replace(at, from.size(), to);
    return bytes;
  };
  const auto bytes_of = [](std::uint32_t number) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xffU);
    return bytes;
  };
  std::string big = in_place_of(file_of("N"), "little", "bigbig");
  big = in_place_of(big, bytes_of(detail::crc32("little", 6)), bytes_of(detail::crc32("bigbig", 6)));
  big.resize(big.size() - 24);
  big.replace(big.size() - 2, 2, 2, '\0');
  require(big,
          "its numbers are stored in the byte order \"bigbig\", and this machine's is \"little\": save it on a machine of this "
          "kind");
}

TEST_CASE("modules of LibTorch within themselves, nested deeply, or too many, are refused") {
  const auto require_modules_refused = [](const std::string& pickle, const std::string& why) {
    const std::string bytes = file_of(pickle);
    const TorchFile file{InputBytes(bytes)};
    CHECK_THROWS_WITH(detail::weights_in(file), why);
  };
  const auto holds = [](const std::string& modules) { return "c__torch__\nNet\n)\x81q\1}(" + modules + "ub"; };
  require_modules_refused(holds(text("itself") + "h\1"), "its modules are nested more than 100 deep, or contain themselves");
  std::string deep = holds(""), twice = holds("");
  for (int i = 0; i < 101; ++i) deep = holds(text("inner") + deep);
  require_modules_refused(deep, "its modules are nested more than 100 deep, or contain themselves");
  // Each module has the one before twice.
  for (int i = 0; i < 20; ++i) twice += "q\0020" + holds(text("one") + "h\2" + text("other") + "h\2");
  require_modules_refused(twice, "it has more than 100000 modules");
}

TEST_CASE("what has no place in a file is named when it is written") {
  const auto write = [](const c10::IValue& value) { detail::Pickler{value}; };
  CHECK_THROWS_WITH(write(c10::IValue(at::ones({2}).to_sparse())), ContainsSubstring("a tensor of the kind SparseCPUFloatType has no place in it"));
  CHECK_THROWS_WITH(write(c10::IValue(c10::Device("cpu"))), ContainsSubstring("a value of the kind Device has no place in it"));
  c10::impl::GenericList list(c10::AnyType::get());
  c10::IValue nested(list);
  for (int i = 0; i < 300; ++i) {
    c10::impl::GenericList outer(c10::AnyType::get());
    outer.push_back(nested);
    nested = outer;
  }
  CHECK_THROWS_WITH(write(nested), ContainsSubstring("its values are nested more than 200 deep"));
}

}  // namespace
