"""A pattern has one spelling for what it claims, and two overlap exactly when a path exists that both claim."""

import re
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parexec_tui.core.plan import patterns as patterns_room
from parexec_tui.core.plan.patterns import Pattern, matches, overlap, parse_pattern

ROOT = "/work/plan"


def pattern(text: str) -> Pattern:
    return parse_pattern(text, ROOT)


# --- Reading patterns ---


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("docs/a.md", "docs/a.md"),
        ("./docs//a.md/", "docs/a.md"),
        ("docs/../src/x", "src/x"),
        ("docs/", "docs"),
        ("docs/**", "docs"),
        ("docs/**/**/*", "docs/*"),
        ("docs/**/*/b", "docs/*/**/b"),
        ("docs/*/**", "docs/*"),
        ("docs/?*/**", "docs/*"),
        ("src/*.d", "src/*.d"),
        ("src/*.d/**", "src/*.d/**"),
        ("src/*.d/**/**/.", "src/*.d/**"),
        ("src/*.d/", "src/*.d/**"),
        ("src/*.d/**/*", "src/*.d/*"),
        ("src/*.d/**/[x]", "src/*.d/**/x"),
        ("src/[*].d/**", "src/[*].d"),
        ("/*.d/**", "/*.d/**"),
        (".", "**"),
        ("**", "**"),
        ("**/", "**"),
        ("**/a", "**/a"),
        ("a**b", "a*b"),
        ("***", "*"),
        ("?*", "*"),
        ("*?*?x", "??*x"),
        ("[a]", "a"),
        ("[cab]", "[a-c]"),
        ("[a-cb-d]", "[a-d]"),
        ("[^a]", "[!a]"),
        ("[a-]", "[-a]"),
        ("[a!]", "[a!]"),
        ("[.-0]", "[.0]"),
        ("[*]x[?]", "[*]x[?]"),
        ("[[]", "[[]"),
        ("[{]x[}]", "[{]x[}]"),
        ("a]", "a]"),
        ("[.]/x", "x"),
        ("[a]/../x", "x"),
        ("/work/plan/out", "out"),
        ("../plan/out", "out"),
        ("/work/plan", "**"),
        ("../x", "/work/x"),
        ("/work", "/work"),
        ("/usr/*", "/usr/*"),
        ("../../../../etc", "/etc"),
        ("/", "/**"),
        ("..a/b", "..a/b"),
        ("a/...", "a/..."),
    ],
)
def test_a_claim_has_one_spelling(text: str, canonical: str) -> None:
    assert str(pattern(text)) == canonical
    assert pattern(text) == pattern(canonical)
    assert hash(pattern(text)) == hash(pattern(canonical))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the pattern is empty: write ** for everything in the working directory"),
        ("a\0b", "'a\\x00b': no path has a NUL character in it: remove it"),
        ("a\\*", "'a\\\\*': a backslash does not escape here: write [*] for a star itself"),
        (
            "a.{md,txt}",
            "'a.{md,txt}': braces list nothing here: write one pattern per alternative, or [{] for a brace itself",
        ),
        (
            "x/[ab",
            "'x/[ab': '[' has no ']' before the next '/': close it, or write [[] for a bracket itself",
        ),
        (
            "[a/b]",
            "'[a/b]': '[' has no ']' before the next '/': close it, or write [[] for a bracket itself",
        ),
        (
            "x[]",
            "'x[]': [] is an empty class: name a character in it, or write ] alone for a bracket itself",
        ),
        (
            "x[!]",
            "'x[!]': [!] is an empty class: name a character in it, or write ] alone for a bracket itself",
        ),
        ("[z-a]", "'[z-a]': the range z-a runs backwards: write a-z"),
        ("[[:alpha:]]", "'[[:alpha:]]': named classes such as [:alpha:] are not known here: write [a-zA-Z]"),
        ("*/../x", "'*/../x': '..' after a wildcard can lead anywhere: write the path without '..'"),
        ("**/../x", "'**/../x': '..' after a wildcard can lead anywhere: write the path without '..'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        pattern(text)
    assert str(refused.value) == problem


def test_the_root_must_be_absolute() -> None:
    with pytest.raises(ValueError, match="'plan' is not an absolute path"):
        parse_pattern("a", "plan")


def test_the_root_is_literal_and_may_be_the_top() -> None:
    odd = "/we{ird}/[x]/pl*an\\"
    assert str(parse_pattern("../a", odd)) == "/we[{]ird[}]/[[]x]/a"
    assert matches(parse_pattern("../*", odd), "/we{ird}/[x]/y")
    assert not matches(parse_pattern("../*", odd), "/weird/x/y")
    assert parse_pattern("/usr/lib", "/") == parse_pattern("usr/lib", "//")


@given(st.text("ab-!^[]*?/.\U0010ffff]", min_size=1, max_size=12))
def test_the_canonical_text_reads_back_as_the_same_pattern(text: str) -> None:
    try:
        first = pattern(text)
    except ValueError:
        assume(False)
    assert pattern(str(first)) == first


# --- Overlap ---


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("out/a.txt", "out/a.txt", True),
        ("out/a.txt", "out/b.txt", False),
        ("out", "out/b/c.txt", True),
        ("out", "outer", False),
        ("out/*.txt", "out/a.txt", True),
        ("out/*.txt", "out/a.md", False),
        ("out/*.txt", "out/*.md", False),
        ("out/a*", "out/*b", True),
        ("out/a*", "out/b*", False),
        ("out/*", "out", True),
        ("*/x", "out/*", True),
        ("*/x", "out/y", False),
        ("docs/**", "docs/a/b.md", True),
        ("docs/**/*.md", "docs/a/b/c.md", True),
        ("docs/**/*.md", "docs/c.md", True),
        ("docs/**/*.md", "src/c.md", False),
        ("docs/**/*.md", "docs/a", True),  # docs/a may be a folder with an x.md in it ...
        ("docs/**/*.md", "docs/a.txt", True),  # ... and so may docs/a.txt
        ("docs/**/*.md", "docs/*.txt", False),
        ("src/**/*.py", "src/**/*.md", False),
        ("src/**/*.py", "src/**/*.md/**", True),  # x.md/y.py
        ("src/**/*.py/**", "src/**/*.md/**", True),
        ("src/*.py", "src", True),
        ("src/*.py", "src/*", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.py/b", False),
        ("src/*.d", "src/a.d/b", False),
        ("src/*.d/**", "src/a.d/b", True),
        ("src/*.d/", "src/a.d/b", True),
        ("src/*.d/**", "src/*.d", True),
        ("src/part-?", "src/part-1/a", False),
        ("src/*", "src/part-1/a", True),
        ("src/?*", "src/part-1/a", True),
        ("a/**/b", "a/**/c", True),  # a/b/c
        ("**/x/y", "x", True),
        ("[abc]", "[c-e]", True),
        ("[abc]", "[!a-c]", False),
        ("[!a]", "[!b]", True),
        ("?", "ab", False),
        ("??", "*b", True),
        ("[*]", "*", True),
        ("[*]", "a", False),
        ("/work/**", "out/a", True),
        ("/work", "**", True),
        ("/w*/plan/a", "a", True),
        ("/w*/plan/a", "b", False),
        ("../other", "out", False),
        ("/*", "../../usr/lib", True),
        ("café/*", "café/x", True),
    ],
)
def test_overlap(a: str, b: str, expected: bool) -> None:
    assert overlap(pattern(a), pattern(b)) is expected
    assert overlap(pattern(b), pattern(a)) is expected


def oracle(text: str) -> re.Pattern[str]:
    """A second reading of a relative pattern, for paths that end in `/`: a regular expression."""
    names = r"(?:[^/]+/)*"
    signs = {"?": "[^/]", "[!": "[^/"}
    regex = ""
    if text.endswith("/"):
        text += "**"
    for segment in text.split("/"):
        if segment == "**":
            regex += names
        else:
            regex += "(?=[^/])" + re.sub(r"\*+|\?|\[!", lambda m: signs.get(m[0], "[^/]*"), segment) + "/"
    files = re.search(r"[*?\[]", segment) and not re.fullmatch(r"\*+\??\**|\?\*+", segment)
    return re.compile(regex if files else regex + names)


def test_equal_claims_have_one_spelling_and_others_another() -> None:
    """All patterns of up to three of these segments, told apart by what they claim of short paths."""
    paths = ["".join(names) for depth in range(6) for names in product(["a/", "b/", "bb/"], repeat=depth)]
    spellings: dict[tuple[str, ...], set[str]] = {}
    for depth in range(1, 4):
        for names in product(["a", "*", "**", "?", "?*", "*b"], repeat=depth):
            for text in ("/".join(names), "/".join(names) + "/"):
                claimed = tuple(filter(oracle(text).fullmatch, paths))
                spellings.setdefault(claimed, set()).add(str(pattern(text)))
    assert all(len(same) == 1 for same in spellings.values())
    assert len(set().union(*spellings.values())) == len(spellings)


NAMES = ["".join(chars) for length in range(1, 7) for chars in product("abc", repeat=length)]
PATHS = ["/".join(names) for depth in range(1, 9) for names in product("ab", repeat=depth)]

a_char = st.sampled_from(["a", "b", "c", "?", "*", "[ab]", "[!a]", "[!a-b]", "[b-c]"])
a_name = st.lists(a_char, min_size=1, max_size=3).map("".join)
a_short_name = st.sampled_from(["a", "b", "*", "**", "?", "[!a]", "*b"])
a_path = st.lists(a_short_name, min_size=1, max_size=4).map("/".join)
a_pattern = st.builds(
    lambda names, end: "/".join(names) + end,
    st.lists(a_name | st.just("**"), min_size=1, max_size=4),
    st.sampled_from(["", "", "/"]),
)


@given(a_name, a_name)
def test_names_overlap_exactly_if_a_name_matches_both(a: str, b: str) -> None:
    """Three parts each: if there is a common name, there is one of at most six characters."""
    one, other = oracle(a), oracle(b)
    common = any(one.fullmatch(name + "/") and other.fullmatch(name + "/") for name in NAMES)
    assert overlap(pattern(a), pattern(b)) == common


@given(a_path, a_path)
def test_paths_overlap_exactly_if_a_path_is_claimed_by_both(a: str, b: str) -> None:
    """Four segments each: if there is a common path, there is one of at most eight names."""
    one, other = oracle(a), oracle(b)
    common = any(one.fullmatch(path + "/") and other.fullmatch(path + "/") for path in PATHS)
    assert overlap(pattern(a), pattern(b)) == common


@given(a_pattern, a_pattern, st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_both_claim_is_an_overlap(a: str, b: str, names: list[str]) -> None:
    path = "/".join(names)
    for text in (a, b):
        assert matches(pattern(text), path) == bool(oracle(text).fullmatch(path + "/"))
        assert matches(pattern(text), f"{ROOT}/{path}") == matches(pattern(text), path)
    if matches(pattern(a), path) and matches(pattern(b), path):
        assert overlap(pattern(a), pattern(b))


@given(a_pattern, a_pattern)
def test_overlap_is_symmetric_and_everything_overlaps_with_all(a: str, b: str) -> None:
    assert overlap(pattern(a), pattern(b)) == overlap(pattern(b), pattern(a))
    assert overlap(pattern(a), pattern("**"))
    assert overlap(pattern(a), pattern(a))


@given(a_pattern, a_pattern)
def test_an_absolute_pattern_is_the_same_claim(a: str, b: str) -> None:
    assert pattern(f"{ROOT}/{a}") == pattern(a)
    # `[k]` is no wildcard, `[k-l]` is: the second one stays absolute and has to be compared in full.
    wide = pattern(f"/wor[k-l]/plan/{a}")
    assert overlap(wide, pattern(b)) == overlap(pattern(a), pattern(b))


def test_many_stars_cost_no_more_than_the_product_of_the_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def count(a: patterns_room.Chars, b: patterns_room.Chars) -> bool:
        nonlocal compared
        compared += 1
        return a == b

    monkeypatch.setattr(patterns_room, "_chars_meet", count)
    assert not overlap(pattern("*a" * 60 + "*b"), pattern("*" + "a*" * 60 + "c"))
    assert not overlap(pattern("*a" * 60 + "*b"), pattern("a" * 120))
    assert 0 < compared <= 122 * 122 * 2
    assert overlap(pattern("/".join(["**/a"] * 60 + ["b"])), pattern("/".join(["a/**"] * 60 + ["c"])))


@given(st.integers(1, 30))
def test_typical_pairs_never_reach_the_slow_way(number: int) -> None:
    patterns_room._overlap_special.cache_clear()
    assert not overlap(pattern(f"out/{number}.txt"), pattern(f"out/{number + 1}.txt"))
    assert not overlap(pattern(f"out/{number}-*"), pattern(f"src/{number}/**/*.md"))
    assert overlap(pattern("out"), pattern(f"out/{number}/*"))
    assert patterns_room._overlap_special.cache_info().currsize == 0
