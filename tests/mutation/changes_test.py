#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of changes.py: which changes it finds in a header, and how it writes them."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import changes


def found(text, entries=(), stale=None):
    return [(change.kind, change.what) for change in changes.changes_of(text, "a.hpp", entries, stale)]


def in_function(body):
    return found(f"void f() {{ {body} }}")


class Kinds(unittest.TestCase):
    def test_a_relation_moves_its_border(self):
        self.assertIn(("relation", "a + 1 < b -> a + 1 <= b"), in_function("g(a + 1 < b);"))

    def test_an_equality_that_is_a_whole_condition_is_turned_by_its_condition(self):
        self.assertEqual(in_function("if (a == b) g(); h();"), [
            ("swapped", "if (a == b) g(); h(); -> h(); if (a == b) g();"), ("condition", "a == b -> false"),
            ("condition", "a == b -> true"), ("dropped", "h(); -> nothing")])

    def test_each_part_of_a_condition_is_left_out(self):
        self.assertEqual(in_function("if (a && b && c) g();"), [
            ("condition", "a && b && c -> false"), ("operand", "a -> true"), ("operand", "b -> true"),
            ("operand", "c -> true")])
        self.assertEqual(in_function("return a || b && c;"), [
            ("operand", "a -> false"), ("operand", "b && c -> false"), ("operand", "b -> true"), ("operand", "c -> true")])

    def test_a_choice_goes_both_ways(self):
        self.assertEqual(in_function("x = a ? y : z;"), [
            ("dropped", "x = a ? y : z; -> nothing"), ("condition", "a -> false"), ("condition", "a -> true")])

    def test_a_condition_that_declares_is_never_true(self):
        self.assertEqual(in_function("if (const auto a = g()) h(*a);"), [("condition", "const auto a = g() -> false")])

    def test_constants(self):
        self.assertEqual(in_function("const auto a = b(0, 1, 7, 0.5, true);"), [
            ("constant", "0 -> 1"), ("constant", "1 -> 0"), ("constant", "7 -> (7 + 1)"), ("constant", "0.5 -> (0.5 + 1)"),
            ("constant", "true -> false")])
        members = "struct A {\n  int a = 3;\n  static constexpr int b = 3;\n};"
        self.assertEqual(found(members), [("constant", "3 -> (3 + 1)")])

    def test_arithmetic_of_numbers_but_not_of_texts(self):
        self.assertEqual(in_function('g(a * b, "a" + b);'), [
            ("dropped", 'g(a * b, "a" + b); -> nothing'), ("arithmetic", "a * b -> a / b")])

    def test_calls_are_dropped_and_swapped(self):
        self.assertEqual(in_function("g(); ++a; b = 1;"), [
            ("dropped", "g(); -> nothing"), ("swapped", "g(); ++a; -> ++a; g();"), ("dropped", "++a; -> nothing"),
            ("dropped", "b = 1; -> nothing"), ("constant", "1 -> 0")])

    def test_an_early_return_is_dropped_and_the_last_one_is_not(self):
        self.assertEqual(in_function("if (a) { g(); return b; } return c;"), [
            ("condition", "a -> false"), ("condition", "a -> true"), ("dropped", "g(); -> nothing"),
            ("dropped", "return b; -> nothing")])

    def test_resets_of_destructors_and_handlers(self):
        self.assertEqual(found("struct A {\n  ~A() { a = nullptr; }\n};"), [("reset", "a = nullptr; -> nothing")])
        self.assertEqual(in_function("try { g(); } catch (...) { h(); throw; }"), [
            ("dropped", "g(); -> nothing"), ("reset", "h(); -> nothing")])

    def test_state(self):
        self.assertEqual(found('void state(A& archive) { archive("a", a); archive("b", b); }'), [
            ("state", 'archive("a", a); -> nothing'), ("state", 'archive("b", b); -> nothing')])

    def test_guards(self):
        self.assertIn(("guard", "auto a = g(); -> nothing"), in_function("[[maybe_unused]] auto a = g(); h();"))
        self.assertIn(("guard", "const Kept kept{a}; -> nothing"), in_function("const Kept kept{a}; h();"))
        self.assertNotIn(("guard", "const Kept kept{a}; -> nothing"), in_function("const Kept kept{a}; h(kept);"))

    def test_what_is_decided_at_compile_time_stays(self):
        for text in (
                "template <class T, bool B = (1 < 2)>\nconcept C = requires(T a) { a.f(0); } && true;",
                "static_assert(1 < 2);", "consteval int f() { return 1; }", "inline constexpr int a = 1 + 1;",
                "enum class E { a = 1 };", "#define A(x) f(x + 1)\n", "using A = std::array<int, 3>;",
                "template <class T>\n  requires(sizeof(T) > 1)\nvoid f() { if constexpr (sizeof(T) > 2) { A<0> a; } }"):
            self.assertEqual(found(text), [], text)

    def test_lambdas_are_read(self):
        self.assertEqual(in_function("return [a, b = 1]<class T>(T c) mutable -> bool { d(); return c < a; };"), [
            ("dropped", "d(); -> nothing"), ("relation", "c < a -> c <= a")])


class ByHand(unittest.TestCase):
    def test_source_is_found_whatever_its_spaces(self):
        what = [("it is late", "g( a );\nh();", "h(); g(a);")]
        self.assertIn(("by hand", "it is late -> h(); g(a);"), found("void f() {\n  g(a);  // first\n  h();\n}", what))

    def test_source_that_is_gone_is_reported(self):
        stale = []
        self.assertEqual(found("void f() {}", [("it is late", "g();", "")], stale), [])
        self.assertEqual(stale, ["a.hpp: it is late (its source is there 0 times)"])


class Writing(unittest.TestCase):
    text = "void f() {\n  if (a && // why\n      b < 1) g();\n  h();\n}\n"

    def setUp(self):
        self.changes = changes.changes_of(self.text, "a.hpp")
        for number, change in enumerate(self.changes):
            change.number = number + 1
        self.written = changes.Written(self.text, self.changes)

    def test_lines_stay_where_they_are(self):
        self.assertEqual(self.written.text.count("\n"), self.text.count("\n"))
        self.assertIn("g();", self.written.text.split("\n")[2])

    def test_each_change_is_asked_for(self):
        for change in self.changes:
            self.assertIn(f"on({change.number})", self.written.text)

    def test_a_place_of_the_written_text_tells_its_changes(self):
        line = self.written.text.split("\n")[2]
        inside = [change.what for change in self.written.at(3, line.index("<=") + 1)]
        self.assertEqual(inside[:2], ["b < 1 -> b <= 1", "b < 1 -> true"])

    def test_keys_differ_and_do_not_depend_on_lines(self):
        twice = "void f() {\n  g();\n}\nvoid h() {\n  g();\n}\n"
        keys = [change.key for change in changes.changes_of(twice, "a.hpp")]
        self.assertEqual(keys, ["a.hpp | g(); | g(); -> nothing", "a.hpp | g(); | g(); -> nothing | 2"])
        self.assertEqual(keys, [change.key for change in changes.changes_of("\n\n" + twice, "a.hpp")])


if __name__ == "__main__":
    unittest.main()
