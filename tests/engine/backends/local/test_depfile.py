"""What depfiles say, as compilers write them."""

import pytest

from parexec_tui.engine.backends.local.depfile import files_in


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("a.o: a.c a.h\n", ["a.c", "a.h"]),
        ("a.o: a.c \\\n  sub/a.h \\\r\n b.h", ["a.c", "sub/a.h", "b.h"]),
        ("a.o a.d: a.c a.h a.c\na.h:\nb.h :\n", ["a.c", "a.h"]),
        ("a.o: with\\ blank.h hash\\#.h dollar$$.h c:/x.h\n", ["with blank.h", "hash#.h", "dollar$.h", "c:/x.h"]),
        ("a\\:b.o: C:\\dir\\x.h\n", ["C:\\dir\\x.h"]),
        ("# by hand\n\n", []),
        ("a.o: \\\n a.c\n\nb.h:\nc:\\\n d", ["a.c", "d"]),
        ("dir/c:x.o : c:x.h", ["c:x.h"]),
    ],
)
def test_files_are_those_behind_the_colon(text: str, files: list[str]) -> None:
    assert files_in(text) == files


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="not a rule of make: 'hello there'"):
        files_in("hello there\n")
