# SPDX-License-Identifier: MIT
"""Finds places in the headers that can be changed, and writes headers that hold every change behind a switch.

A change is a piece of source text with a text before and a text after it, which ask `fulgurite_mutation::on(number)`: so one
build holds all of them, and a run chooses one. The reading is that of a small parser which knows the style of this
repository (.clang-format): `a < b` with spaces is a comparison, `a<b>` a template. What it takes for an expression and is
none does not compile, and is left out then (run).
"""

import bisect
import dataclasses
import re

ON = "\0"  # in the text of a change: the question whether it is the chosen one

KEYWORDS = {"return", "throw", "case", "else", "do", "co_return", "co_yield", "co_await", "goto"}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
PRECEDENCE = {
    "||": 3, "&&": 4, "|": 5, "^": 6, "&": 7, "==": 8, "!=": 8, "<": 9, ">": 9, "<=": 9, ">=": 9, "<=>": 10,
    "<<": 11, ">>": 11, "+": 12, "-": 12, "*": 13, "/": 13, "%": 13,
}
RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*"}
UNEVALUATED = {"decltype", "sizeof", "alignof", "noexcept", "typeid", "static_assert", "__attribute__", "alignas"}
# Statements that begin so are no expressions; nor do those of JUMPS and COMPOUND change places.
NO_EXPRESSION = {"const", "auto", "static", "decltype", "typename", "unsigned", "volatile", "mutable", "thread_local",
                 "constexpr", "co_return", "goto", "delete"}
JUMPS = {"return", "throw", "break", "continue"}
COMPOUND = {"using", "typedef", "static_assert", "struct", "class", "template", "union", "enum", "do", "for", "while",
            "switch", "try", "{", ";"}
PUNCTUATORS = sorted(
    ["<=>", "<<=", ">>=", "->*", "...", "::", "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=", "-=",
     "*=", "/=", "%=", "&=", "|=", "^=", ".*"], key=len, reverse=True)
TOKEN = re.compile(
    r'(?P<space>\s+|//[^\n]*|/\*.*?\*/)'
    r'|(?P<attribute>\[\[(?:[^\[\]]|\[[^\]]*\])*\]\])'
    r'|(?P<raw>(?:u8|u|U|L)?R"(?P<delimiter>[^(\s]*)\(.*?\)(?P=delimiter)")'
    r'|(?P<string>(?:u8|u|U|L)?"(?:[^"\\\n]|\\.)*")'
    r"|(?P<char>(?:u8|u|U|L)?'(?:[^'\\\n]|\\.)+')"
    r"|(?P<number>\.?[0-9](?:[eEpP][+-]|'(?=[0-9a-fA-F])|[0-9a-zA-Z_.])*)"
    r'|(?P<id>[A-Za-z_][A-Za-z0-9_]*)'
    r'|(?P<punct>' + "|".join(re.escape(p) for p in PUNCTUATORS) + r'|[^\sA-Za-z0-9_])', re.S)


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int
    before: bool = False  # white space, or a comment, stands before it
    after: bool = False
    maybe_unused: bool = False  # behind that attribute

    @property
    def spaced(self):
        return self.before and self.after


@dataclasses.dataclass
class Change:
    """One change to a header. `start` and `end` are what the two texts are put around."""
    kind: str
    start: int
    end: int
    prefix: str
    suffix: str
    original: str
    changed: str
    context: str = ""  # the line of source that it begins in
    path: str = ""
    line: int = 0
    number: int = 0
    key: str = ""
    more: tuple = ()  # further texts for the same change: (start, end, prefix, suffix)

    @property
    def what(self):
        return f"{self.original} -> {self.changed}"


class Unreadable(Exception):
    pass


def tokens_of(text):
    tokens = []
    at = 0
    space = True
    maybe_unused = False
    line_begins = True
    while at < len(text):
        if line_begins and (directive := re.compile(r"[ \t]*#(?:[^\n\\]|\\.)*", re.S).match(text, at)):
            at = directive.end()
            space = True
            line_begins = False
            continue
        found = TOKEN.match(text, at)
        if not found:
            raise Unreadable(f"at {at}: {text[at:at + 20]!r}")
        kind = found.lastgroup if found.lastgroup != "delimiter" else "raw"
        if kind in ("space", "attribute"):
            maybe_unused = "maybe_unused" in found.group() if kind == "attribute" else maybe_unused
            if tokens and not space:
                tokens[-1].after = True
            space = True
            line_begins = "\n" in found.group() and kind == "space" and found.group()[0].isspace()
        else:
            kind = "string" if kind == "raw" else kind
            tokens.append(Token(kind, found.group(), at, found.end(), before=space, maybe_unused=maybe_unused))
            space = maybe_unused = False
            line_begins = False
        at = found.end()
    if tokens:
        tokens[-1].after = True
    return tokens


def matched(tokens):
    """Splits `>>` where it closes two templates; returns the tokens and the partner of each bracket, angles among them."""
    result, partner, stack = [], {}, []
    closing = {"(": ")", "[": "]", "{": "}", "<": ">"}

    def close(token):
        opened = stack.pop()
        if closing[result[opened].text] != token.text:
            raise Unreadable(f"{token.text!r} at {token.start} closes {result[opened].text!r} at {result[opened].start}")
        partner[opened] = len(result)
        partner[len(result)] = opened
        result.append(token)

    for token in tokens:
        before = result[-1] if result else None
        if token.kind != "punct":
            result.append(token)
        elif token.text in ("(", "[", "{"):
            while token.text == "{" and stack and result[stack[-1]].text == "<":
                stack.pop()  # was no template
            stack.append(len(result))
            result.append(token)
        elif token.text in (")", "]", "}"):
            while stack and result[stack[-1]].text == "<":
                stack.pop()
            close(token)
        elif token.text == "<" and before is not None and (
                before.text == "template" or (not token.before and (before.text == "]" or (
                    before.kind == "id" and before.text != "operator")))):
            stack.append(len(result))
            result.append(token)
        elif token.text in (">", ">>") and stack and result[stack[-1]].text == "<" and not token.before:
            if token.text == ">":
                close(token)
            else:
                close(Token("punct", ">", token.start, token.start + 1))
                if stack and result[stack[-1]].text == "<":
                    close(Token("punct", ">", token.start + 1, token.end, after=token.after))
                else:
                    raise Unreadable(f"'>>' at {token.start}")
        else:
            result.append(token)
    if stack:
        raise Unreadable(f"{result[stack[-1]].text!r} at {result[stack[-1]].start} is not closed")
    return result, partner


@dataclasses.dataclass
class Place:
    """What the statements being read stand in."""
    function: str = ""
    unwinds: bool = False  # a destructor, or a handler of exceptions


class Reader:
    """Reads one header; `changes` holds what was found, in the order of the source."""

    def __init__(self, text):
        self.text = text
        self.tokens, self.partner = matched(tokens_of(text))
        self.angles = {i for i in self.partner if self.tokens[i].text in "<>"}
        self.changes = []
        self.wholes = set()  # first and last token of what is a condition, or a part of one
        self.scope(0, len(self.tokens), "")
        self.changes.sort(key=lambda change: (change.start, -change.end))

    # --- small things ---

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def source(self, first, last):
        """The text of tokens `first` to `last`, on one line and without comments."""
        parts = []
        for i in range(first, last + 1):
            token = self.tokens[i]
            parts.append((" " if token.before and i > first else "") + token.text)
        return "".join(parts)

    def add(self, kind, first, last, prefix, suffix, original, changed, more=()):
        start, end = self.tokens[first].start, self.tokens[last].end
        self.changes.append(Change(kind, start, end, prefix, suffix, original, changed, more=more))

    def skip(self, i, end, stop):
        """The first of the tokens `stop` from `i` on that is in no bracket, or `end`."""
        while i < end:
            if self.at(i) in stop and i not in self.angles:
                return i
            i = self.partner[i] + 1 if self.partner.get(i, -1) > i else i + 1
        return end

    # --- declarations ---

    def scope(self, i, end, class_name):
        while i < end:
            i = self.declaration(i, end, class_name)

    def constraint(self, i, end):
        """Behind the constraint that begins at `i`, after `requires`."""
        while i < end:
            while self.at(i) == "!":
                i += 1
            if self.at(i) == "(":
                i = self.partner[i] + 1
            elif self.at(i) == "requires":
                i = self.requires_expression(i)
            else:
                i += 1
                while self.at(i) == "::" or i in self.angles or self.at(i - 1) == "::":
                    i = self.partner[i] + 1 if i in self.angles else i + 1
                if self.at(i) == "(" and self.at(i - 1) != ">":
                    i = self.partner[i] + 1
            if self.at(i) not in ("&&", "||"):
                return i
            i += 1
        return end

    def requires_expression(self, i):
        """Behind `requires { }` or `requires (...) { }`."""
        i += 1
        if self.at(i) == "(":
            i = self.partner[i] + 1
        return self.partner[i] + 1 if self.at(i) == "{" else i

    def declaration(self, i, end, class_name):
        begin = i
        text = self.at(i)
        if text == ";":
            return i + 1
        if text in ("public", "private", "protected") and self.at(i + 1) == ":":
            return i + 2
        if text == "namespace" or (text == "inline" and self.at(i + 1) == "namespace"):
            brace = self.skip(i, end, ("{", ";", "="))
            if self.at(brace) != "{":
                return self.skip(brace, end, (";",)) + 1
            self.scope(brace + 1, self.partner[brace], "")
            return self.partner[brace] + 1
        if text in ("using", "typedef", "static_assert"):
            return self.skip(i, end, (";",)) + 1
        if re.fullmatch(r"[A-Z][A-Z0-9_]+", text) and self.at(i + 1) == "(":  # a macro that is called
            return self.partner[i + 1] + 1
        fixed = False  # constexpr variable, concept
        called = -1  # the parameter list of a function
        name = ""
        key = ""
        while i < end:
            text = self.at(i)
            if text == "template" and self.at(i + 1) == "<":
                i = self.partner[i + 1] + 1
            elif text == "requires":
                i = self.constraint(i + 1, end)
            elif text in ("concept", "using", "typedef", "static_assert"):
                return self.skip(i, end, (";",)) + 1
            elif text in ("class", "struct", "union", "enum"):
                key = key or text
                i += 1
            elif text == "consteval" or (text == "constexpr" and called < 0):
                fixed = True
                i += 1
            elif text in UNEVALUATED or text == "explicit":
                i = self.partner[i + 1] + 1 if self.at(i + 1) == "(" else i + 1
            elif text == "operator":
                name = "operator"
                i += 1
                if self.at(i) == "(":
                    i += 2
                elif self.at(i) == "[":
                    i += 2
                else:
                    while self.at(i) != "(":
                        i = self.partner[i] + 1 if i in self.angles and self.partner[i] > i else i + 1
            elif text == "(":
                if called < 0:
                    called = i
                    name = name or ("~" if self.at(i - 2) == "~" else "") + self.at(i - 1)
                i = self.partner[i] + 1
            elif text == "[" or (i in self.angles and self.partner[i] > i):
                i = self.partner[i] + 1
            elif text == ";":
                return i + 1
            elif text == "=":
                stop = self.skip(i, end, (";",))
                if self.at(i + 1) not in ("default", "delete") and called < 0 and not fixed:
                    self.expressions(i + 1, stop, Place(name))
                return stop + 1
            elif text == ":" and called >= 0:
                i = self.initialisers(i + 1, end, Place(name))
                self.function(i, begin, name, class_name)
                return self.partner[i] + 1
            elif text == "{":
                close = self.partner[i]
                if called >= 0:
                    self.function(i, begin, name, class_name)
                    return close + 1
                if key in ("class", "struct", "union"):
                    self.scope(i + 1, close, "")
                    i = close + 1
                    key = ""
                    if self.at(i) != ";":  # a class and a member of it
                        continue
                    return i + 1
                if key == "" and not fixed:
                    self.expressions(i + 1, close, Place(name))
                i = close + 1
            else:
                i += 1
        return end

    def initialisers(self, i, end, place):
        """Reads `: a(1), b{2}`; returns the brace of the body."""
        while i < end:
            while self.at(i) not in ("(", "{"):
                i = self.partner[i] + 1 if i in self.angles and self.partner[i] > i else i + 1
            self.expressions(i + 1, self.partner[i], place)
            i = self.partner[i] + 1
            if self.at(i) == "...":
                i += 1
            if self.at(i) != ",":
                return i
            i += 1
        raise Unreadable("initialisers without a body")

    def function(self, brace, begin, name, class_name):
        if any(self.at(i) == "consteval" for i in range(begin, brace)):
            return
        self.block(brace + 1, self.partner[brace], Place(name, unwinds=name.startswith("~")), False)

    # --- statements ---

    def statement_end(self, i, end):
        """Behind the statement that begins at `i`."""
        text = self.at(i)
        if text == "{":
            return self.partner[i] + 1
        if text in ("if", "for", "while", "switch"):
            i += 2 if self.at(i + 1) == "constexpr" else 1
            i = self.statement_end(self.partner[i] + 1, end)
            while text == "if" and self.at(i) == "else":
                i = self.statement_end(i + 1, end)
            return i
        if text == "do":
            return self.skip(i, end, (";",)) + 1
        if text == "try":
            i = self.partner[i + 1] + 1
            while self.at(i) == "catch":
                i = self.partner[self.partner[i + 1] + 1] + 1
            return i
        if text in ("case", "default"):
            return self.statement_end(self.label_end(i, end), end)
        if text in ("struct", "class", "union", "enum", "template"):
            return self.skip(i, end, (";",)) + 1
        return min(self.skip(i, end, (";",)) + 1, end)

    def label_end(self, i, end):
        return self.skip(i, end, (":",)) + 1

    def is_expression(self, i, stop):
        """Whether the statement of tokens `i` to `stop` (its `;`) is an expression, and no declaration."""
        if self.at(i) in NO_EXPRESSION:
            return False
        if i == stop:
            return False
        j = i
        while j < stop and (self.tokens[j].kind == "id" or self.at(j) == "::" or j in self.angles):
            j = self.partner[j] + 1 if j in self.angles and self.partner[j] > j else j + 1
            if j < stop and self.tokens[j].kind == "id" and self.tokens[j - 1].text != "::":
                return False  # two names in a row
        if self.at(j) in ("&", "*", "&&") and not self.tokens[j].before and self.tokens[j].after:
            return False
        return self.source(i, stop) != "" and not self.source(i, stop).startswith("static_cast<void>(")

    def block(self, i, end, place, following):
        statements = []
        while i < end:
            while self.at(i) in ("case", "default"):
                i = self.label_end(i, end)
            if i >= end:
                break
            stop = self.statement_end(i, end)
            statements.append((i, stop))
            i = stop
        for n, (first, stop) in enumerate(statements):
            self.statement(first, stop, place, following or n + 1 < len(statements), sole=False)
        for (a, b), (c, d) in zip(statements, statements[1:]):
            self.swap(a, b - 1, c, d - 1)
        for first, stop in statements:
            self.guard(first, stop - 1, end)

    def guard(self, first, last, end):
        """An object that is declared and not used again: what matters is when it is gone."""
        i = first + (self.at(first) == "const")
        is_auto = self.at(i) == "auto"
        while i < last and (self.tokens[i].kind == "id" or self.at(i) == "::" or i in self.angles):
            i = self.partner[i] + 1 if i in self.angles and self.partner[i] > i else i + 1
        name = i - 1
        of_type = self.source(first, name - 1).removeprefix("const ").strip()
        if (name <= first or self.tokens[name].kind != "id" or self.at(name - 1) == "::" or self.at(last) != ";"
                or not re.fullmatch(r"[\w:]+(<.*>)?", of_type) or of_type in JUMPS | COMPOUND | {"goto", "delete"}
                or any(self.at(j) == self.at(name) for j in range(last, end))):
            return
        original = self.source(first, last)
        if is_auto and self.at(i) == "=" and self.tokens[first].maybe_unused:
            prefix = f"::fulgurite_mutation::unless({ON}, [&] {{ return "
            self.add("guard", i + 1, last - 1, prefix, "; })", original, "nothing")
        elif not is_auto and re.search("::.*[Gg]uard$", of_type) and i == last:
            self.anew(first, last, of_type, name, "{}", original)
        elif not is_auto and self.at(i) in ("(", "{") and self.partner[i] == last - 1 and of_type[0].isupper():
            self.anew(first, last, of_type, name, self.source(i, last - 1), original)

    def anew(self, first, last, of_type, name, made, original):
        name = self.at(name)
        prefix = f"const auto {name} = ::fulgurite_mutation::unless({ON}, [&] {{ return {of_type}{made}; }});"
        self.add("guard", first, last, prefix + " if constexpr (false) { ", " }", original, "nothing")

    def simple(self, first, last):
        """Whether a statement may change places: an expression, or a condition with one behind it."""
        if self.at(first) == "if":
            i = first + (2 if self.at(first + 1) == "constexpr" else 1)
            body = self.partner[i] + 1
            has_declaration = self.skip(i + 1, self.partner[i], (";",)) != self.partner[i]
            if has_declaration or self.statement_end(body, last + 1) != last + 1:
                return False
            if self.at(body) == "{":
                return self.statement_end(body + 1, last) == last and self.simple(body + 1, last - 1)
            return self.simple(body, last)
        return self.at(last) == ";" and self.at(first) not in JUMPS | COMPOUND and self.is_expression(first, last)

    def swap(self, a, b, c, d):
        if not (self.simple(a, b) and self.simple(c, d)):
            return
        calls = [any(self.at(i) == "(" for i in range(x, y)) for x, y in ((a, b), (c, d))]
        sets = [self.skip(x, y, ASSIGNMENTS) < y for x, y in ((a, b), (c, d))]
        first, second = self.source(a, b), self.source(c, d)
        # Entries of a state, and calls that say a name, have no order.
        entries = [re.search(r"\b(archive|checkpoint|saved)\b", text) for text in (first, second)]
        named = [re.match(r'[\w.]+\("', text) for text in (first, second)]
        if not any(calls) or any(sets) or all(entries) or first == second:
            return
        if all(named) and named[0].group() == named[1].group():
            return
        later = (self.tokens[c].start, self.tokens[d].end, f"if (!{ON}) {{ ", " }")
        self.add("swapped", a, b, f"if ({ON}) {{ {second} {first} }} else {{ ", " }",
                 f"{first} {second}", f"{second} {first}", (later,))

    def is_state(self, first):
        return self.at(first) in ("archive", "checkpoint") and self.at(first + 1) in ("(", ".")

    def statement(self, i, stop, place, following, sole):
        """Reads the statement of tokens `i` to `stop` - 1. `following`: others come after it in its function. `sole`: it is
        all that a condition without `else` guards, so that dropping it is what the condition's own change does."""
        text = self.at(i)
        last = stop - 1
        if text == "{":
            inner_end = self.partner[i]
            if sole and i + 1 < inner_end and self.statement_end(i + 1, inner_end) == inner_end:
                self.statement(i + 1, inner_end, place, following, sole)
            else:
                self.block(i + 1, inner_end, place, following)
        elif text == "if":
            constant = self.at(i + 1) == "constexpr"
            opened = i + (2 if constant else 1)
            body = self.partner[opened] + 1
            body_end = self.statement_end(body, stop)
            alone = body_end == stop
            if not constant:
                self.condition(opened + 1, self.partner[opened] - 1, place)
            self.statement(body, body_end, place, following, sole=alone and not constant)
            if not alone:
                self.statement(body_end + 1, stop, place, following, sole=False)
        elif text == "for":
            opened = i + 1
            closed = self.partner[opened]
            semicolon = self.skip(opened + 1, closed, (";",))
            if semicolon == closed:
                colon = self.skip(opened + 1, closed, (":",))
                self.expressions(colon + 1, closed, place)
            else:
                second = self.skip(semicolon + 1, closed, (";",))
                self.expressions(opened + 1, semicolon, place)
                if second == closed:  # for (init; element : range)
                    colon = self.skip(semicolon + 1, closed, (":",))
                    self.expressions(colon + 1, closed, place)
                elif semicolon + 1 < second:
                    self.condition(semicolon + 1, second - 1, place, loop=True)
            self.statement(closed + 1, stop, place, True, sole=False)
        elif text == "while":
            self.condition(i + 2, self.partner[i + 1] - 1, place, loop=True)
            self.statement(self.partner[i + 1] + 1, stop, place, True, sole=False)
        elif text == "do":
            body_end = self.statement_end(i + 1, stop)
            self.statement(i + 1, body_end, place, True, sole=False)
            if self.at(body_end) == "while":
                self.expressions(body_end + 2, self.partner[body_end + 1], place)
        elif text == "switch":
            self.expressions(i + 2, self.partner[i + 1], place)
            self.statement(self.partner[i + 1] + 1, stop, place, following, sole=False)
        elif text == "try":
            self.statement(i + 1, self.partner[i + 1] + 1, place, following, sole=False)
            j = self.partner[i + 1] + 1
            while self.at(j) == "catch":
                body = self.partner[j + 1] + 1
                self.block(body + 1, self.partner[body], Place(place.function, unwinds=True), following)
                j = self.partner[body] + 1
        elif text in ("case", "default"):
            label = self.label_end(i, stop)
            self.statement(label, stop, place, following, sole=False)
        elif text in JUMPS:
            if text in ("return", "throw"):
                self.expressions(i + 1, last, place)
            if following and not sole and not (text == "throw" and place.unwinds and i + 1 == last):
                self.drop("dropped", i, last)
            elif following and text == "throw" and place.unwinds:
                self.drop("reset", i, last)
        elif text in ("using", "typedef", "static_assert", ";"):
            pass
        elif text in ("struct", "class", "union", "enum", "template"):
            self.declaration(i, stop, "")
        elif text == "constexpr" or (text == "static" and self.at(i + 1) == "constexpr"):
            pass
        else:
            self.expressions(i, last, place)
            if not sole and self.is_expression(i, last):
                is_state = self.is_state(i) or re.search("state|save|load|keep|for_each_field", place.function)
                self.drop("reset" if place.unwinds else "state" if is_state else "dropped", i, last)

    def drop(self, kind, first, last):
        self.add(kind, first, last, f"{{ if (!{ON}) {{ ", " }}", self.source(first, last), "nothing")

    # --- expressions ---

    def condition(self, first, last, place, loop=False):
        """The condition of `if`, `while` or `for`, between its brackets."""
        semicolon = self.skip(first, last + 1, (";",))
        if semicolon <= last:
            self.expressions(first, semicolon, place)
            first = semicolon + 1
        declared = self.skip(first, last + 1, ("=",))
        self.wholes.add((first, last))
        self.expressions(first, last + 1, place)
        if declared <= last:
            if not loop:
                suffix = f"; static_cast<bool>({self.at(declared - 1)}) && !{ON}"
                self.add("condition", first, last, "", suffix, self.source(first, last), "false")
            return
        tops = {self.at(i) for i in self.binaries(first, last + 1)}
        if "?" in tops:
            return
        self.whole(first, last, never="||" not in tops, always=not loop and ("||" in tops or "&&" not in tops))

    def binaries(self, first, end):
        """The operators between `first` and `end` that are in no bracket."""
        i = first
        while i < end:
            if self.at(i) == "[" and self.is_lambda(i):
                i = self.lambda_end(i)
                continue
            if self.partner.get(i, -1) > i:
                i = self.partner[i] + 1
                continue
            if self.at(i) == "?" or (self.at(i) in PRECEDENCE and self.tokens[i].spaced):
                yield i
            i += 1

    def whole(self, first, last, never, always):
        original = self.source(first, last)
        if never:
            self.add("condition", first, last, "(static_cast<bool>(", f") && !{ON})", original, "false")
        if always:
            self.add("condition", first, last, "(static_cast<bool>(", f") || {ON})", original, "true")

    def is_lambda(self, i):
        before = self.tokens[i - 1]
        if before.kind in ("id", "number", "string"):
            return before.text in KEYWORDS
        if before.text in (")", "]", "}") and not before.after or i - 1 in self.angles:
            return False  # a subscript
        return before.text not in ("&", "&&") or before.spaced  # else auto& [a, b]

    def lambda_body(self, i):
        """The brace of the body of the lambda whose captures begin at `i`, or -1."""
        j = self.partner[i] + 1
        while j < len(self.tokens):
            text = self.at(j)
            if text == "{":
                return j
            if text == "requires":
                j = self.constraint(j + 1, len(self.tokens))
            elif text == "(" or (j in self.angles and self.partner[j] > j):
                j = self.partner[j] + 1
            elif text in (";", ",", ")", "]", "}"):
                return -1
            else:
                j += 1
        return -1

    def lambda_end(self, i):
        body = self.lambda_body(i)
        return self.partner[i] + 1 if body < 0 else self.partner[body] + 1

    def expressions(self, first, end, place):
        """Reads tokens `first` to `end` - 1: an expression, several, or a declaration with expressions in it."""
        items = []  # (first token, last token), a bracket with what it holds being one
        i = first
        while i < end:
            text = self.at(i)
            if text == "requires":
                i = self.requires_expression(i)
            elif text in UNEVALUATED and self.at(i + 1) == "(":
                items.append((i, self.partner[i + 1]))
                i = self.partner[i + 1] + 1
            elif text == "[" and self.is_lambda(i) and self.lambda_body(i) >= 0:
                body = self.lambda_body(i)
                if not any(self.at(j) == "consteval" for j in range(i, body)):
                    self.block(body + 1, self.partner[body], Place(place.function), False)
                items.append((i, self.partner[body]))
                i = self.partner[body] + 1
            elif self.partner.get(i, -1) > i:
                close = self.partner[i]
                if i not in self.angles:
                    self.expressions(i + 1, close, place)
                items.append((i, close))
                i = close + 1
            else:
                token = self.tokens[i]
                if token.kind == "number" and self.at(i - 1) != "case" and not self.is_array_size(i):
                    self.constant(i)
                elif token.text in ("true", "false"):
                    self.replace("constant", i, i, "false" if token.text == "true" else "true")
                items.append((i, i))
                i += 1
        self.operators(items, first)

    def is_array_size(self, i):
        """The 32 of `char digits[32]`."""
        names = self.tokens[i - 3].kind == "id" and self.tokens[i - 2].kind == "id"
        return names and self.at(i - 1) == "[" and self.at(i + 1) == "]"

    def constant(self, i):
        text = self.at(i)
        if re.search(r"[^0-9a-fA-FxX.'eE+uUlL-]", text):
            return
        value = re.sub(r"[uUlL]+$", "", text.replace("'", ""))
        suffix = text[len(text.rstrip("uUlL")):]
        if re.fullmatch(r"0|1|0\.0|1\.0", value):
            changed = {"0": "1", "1": "0", "0.0": "1.0", "1.0": "0.0"}[value] + suffix
        else:
            changed = f"({text} + 1)"
        self.replace("constant", i, i, changed)

    def replace(self, kind, first, last, changed, original=None):
        original = original or self.source(first, last)
        self.add(kind, first, last, f"({ON} ? ({changed}) : (", "))", original, changed)

    def operators(self, items, first):
        def text(n):
            a, b = items[n]
            return self.at(a) if a == b else ""

        def precedence(n):
            """Of an item: 0 if nothing reaches across it, 99 if it is part of an operand."""
            word = text(n)
            if word in (",", ";", "?", ":") or word in ASSIGNMENTS or word in KEYWORDS:
                return 0
            if word in PRECEDENCE and self.tokens[items[n][0]].spaced:
                return PRECEDENCE[word]
            return 99

        def left(n, least):
            """The first item of what stands before the operator `n` and binds at least so closely."""
            m = n
            while m > 0 and precedence(m - 1) >= least:
                m -= 1
            return m

        def right(n, least):
            m = n
            while m + 1 < len(items) and precedence(m + 1) >= least:
                m += 1
            return m

        for n in range(len(items)):
            word = text(n)
            if word == "?" and (begin := left(n, 1)) < n:
                self.wholes.add((items[begin][0], items[n - 1][1]))
            elif word in ("&&", "||") and precedence(n) not in (0, 99):
                nearest, finish = left(n, PRECEDENCE[word] + 1), right(n, PRECEDENCE[word] + 1)
                self.wholes.update({(items[nearest][0], items[n - 1][1]), (items[n][0] + 1, items[finish][1])})

        for n in range(len(items)):
            word = text(n)
            if word == "?":
                begin = left(n, 1)
                if begin < n:
                    a, b = items[begin][0], items[n - 1][1]
                    tops = {text(m) for m in range(begin, n)}
                    self.whole(a, b, never="||" not in tops, always="||" in tops or "&&" not in tops)
                continue
            if precedence(n) in (0, 99):
                continue
            level = PRECEDENCE[word]
            begin, finish = left(n, level), right(n, level + 1)
            if begin == n or finish == n or any(text(m) == "..." for m in range(begin, finish + 1)):
                continue
            a, z = items[begin][0], items[finish][1]
            before, after = self.source(a, items[n - 1][1]), self.source(items[n + 1][0], z)
            if word in RELATIONS:
                if word in ("==", "!=") and (a, z) in self.wholes:
                    continue  # its condition turns it both ways
                self.replace("relation", a, z, f"{before} {RELATIONS[word]} {after}")
            elif word in ARITHMETIC and not self.is_text(items, begin, finish):
                self.replace("arithmetic", a, z, f"{before} {ARITHMETIC[word]} {after}")
            elif word in ("&&", "||"):
                nearest = left(n, level + 1)
                if nearest == begin:  # the chain's first
                    self.operand(items[begin][0], items[n - 1][1], word)
                self.operand(items[n + 1][0], z, word)

    def is_text(self, items, begin, finish):
        return any(self.tokens[i].kind in ("string", "char") or self.at(i) in ("string", "to_string")
                   for a, b in items[begin:finish + 1] for i in range(a, b + 1))

    def operand(self, first, last, word):
        original = self.source(first, last)
        if word == "&&":
            self.add("operand", first, last, "(static_cast<bool>(", f") || {ON})", original, "true")
        else:
            self.add("operand", first, last, "(static_cast<bool>(", f") && !{ON})", original, "false")


def by_hand(reader, path, entries, stale):
    """Adds the changes of a hand-written list that are for this header: (name, original, replacement)."""
    for name, original, replacement in entries:
        wanted = [token.text for token in matched(tokens_of(original))[0]]
        texts = [token.text for token in reader.tokens]
        places = [i for i in range(len(texts) - len(wanted) + 1) if texts[i:i + len(wanted)] == wanted]
        if len(places) != 1:
            stale.append(f"{path}: {name} (its source is there {len(places)} times)")
            continue
        first, last = places[0], places[0] + len(wanted) - 1
        one_line = " ".join(replacement.split())
        if wanted[-1] in (";", "}"):
            prefix, suffix = f"if ({ON}) {{ {one_line} }} else {{ ", " }"
        else:
            type_of = f"std::decay_t<decltype({reader.source(first, last)})>"  # else `?:` might convert both to a third type
            prefix, suffix = f"({ON} ? static_cast<{type_of}>({one_line}) : (", "))"
        start, end = reader.tokens[first].start, reader.tokens[last].end
        reader.changes = [c for c in reader.changes if not any(
            crosses(start, end, a, b) for a, b in [(c.start, c.end)] + [m[:2] for m in c.more])]
        reader.add("by hand", first, last, prefix, suffix, name, one_line or "nothing")


def crosses(a, b, c, d):
    return a < c < b < d or c < a < d < b


def changes_of(text, path, entries=(), stale=None):
    """The changes of one header, with their keys: what they are called as long as the source around them stays. `entries` of
    the hand-written list that no longer fit are added to `stale`."""
    reader = Reader(text)
    by_hand(reader, path, entries, [] if stale is None else stale)
    changes = sorted(reader.changes, key=lambda change: (change.start, -change.end))
    starts = [0] + [i + 1 for i, c in enumerate(text) if c == "\n"]
    lines = text.split("\n")
    seen = {}
    for change in changes:
        change.path = path
        change.line = bisect.bisect_right(starts, change.start)
        change.context = re.sub(r"\s*//.*", "", lines[change.line - 1]).strip()
        of_hand = change.kind == "by hand"
        key = f"{path} | by hand | {change.original}" if of_hand else f"{path} | {change.context} | {change.what}"
        seen[key] = seen.get(key, 0) + 1
        change.key = key if seen[key] == 1 else f"{key} | {seen[key]}"
    return changes


class Written:
    """A header with changes in it. `text` has as many lines as the source."""

    def __init__(self, source, changes):
        spans = []  # start, end, order, prefix, suffix, change
        for change in changes:
            on = f"::fulgurite_mutation::on({change.number})"
            own = (change.start, change.end, change.prefix, change.suffix)
            for start, end, prefix, suffix in (own, *change.more):
                spans.append((start, -end, len(spans), prefix.replace(ON, on), suffix.replace(ON, on), change))
        spans.sort(key=lambda span: span[:3])
        parts, position, size = [], 0, 0
        self.ranges = []  # begin and end in the written text, change
        opened = []  # index into ranges, end in the source, suffix

        def put(text):
            nonlocal size
            parts.append(text)
            size += len(text)

        def close(until):
            nonlocal position
            while opened and opened[-1][1] <= until:
                index, end, suffix = opened.pop()
                put(source[position:end])
                position = end
                put(suffix)
                self.ranges[index][1] = size

        for start, end, _, prefix, suffix, change in spans:
            close(start)
            if opened and -end > opened[-1][1]:
                raise Unreadable(f"{change.path}:{change.line}: {change.what} crosses {self.ranges[opened[-1][0]][2].what}")
            put(source[position:start])
            position = start
            self.ranges.append([size, 0, change])
            opened.append((len(self.ranges) - 1, -end, suffix))
            put(prefix)
        close(len(source))
        put(source[position:])
        self.text = "".join(parts)
        self.starts = [0] + [i + 1 for i, c in enumerate(self.text) if c == "\n"]

    def at(self, line, column):
        """The changes whose text holds this place, the innermost first. A compiler counts columns in bytes, from 1."""
        begin = self.starts[line - 1]
        row = self.text[begin:begin + 4 * column].encode()
        position = begin + len(row[:column - 1].decode(errors="ignore"))
        found = [(last - first, -n) for n, (first, last, _) in enumerate(self.ranges) if first <= position < last]
        return [self.ranges[-n][2] for _, n in sorted(found)]

    def on_line(self, line):
        """Every change whose text reaches into a line."""
        begin = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        return [change for first, last, change in self.ranges if first < end and last > begin]
