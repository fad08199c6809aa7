"""Texts as words, in letters of any script."""

import unicodedata
from typing import Final

_LETTERS: Final = "LN"
_MARKS: Final = "M"
_WITHIN: Final = frozenset("'’-\u200c\u200d")
"""What joins letters to one word: "polar-bear", "cat's", the joiners of Persian and Hindi."""

_FOREIGN_MARKS: Final = frozenset("\u0308\u030a")
"""Diaeresis and ring make other letters of a letter; no English word means the same without them."""


def words_in(text: str) -> list[str]:
    """Return the words and numbers of a text, and each other sign by itself: in small letters, without spaces."""
    words: list[str] = []
    word = ""
    for character in unicodedata.normalize("NFC", text.lower()):
        kind = unicodedata.category(character)[0]
        if kind in _LETTERS or (word and (kind in _MARKS or character in _WITHIN)):
            word += character
            continue
        words += filter(None, (word.rstrip("'’-"), character.strip() if kind not in _MARKS else ""))
        word = ""
    return [*words, word.rstrip("'’-")] if word else words


def is_word(token: str) -> bool:
    """Tell whether a part of ``words_in`` is worth a mention: words of two letters, or one that is a whole word."""
    kind = unicodedata.category(token[0])
    if len(token) == 1:
        # One sign says a word in Chinese or as an emoji; "x" and "7" say nothing.
        return kind in {"Lo", "So"}
    return kind[0] in _LETTERS and not token.isdigit()


def plain(word: str) -> str:
    """Return the word as English spells it without accents: "café" as "cafe", but "Bär" as it is."""
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFD", word)
    bare = "".join(part for part in parts if unicodedata.category(part) != "Mn" or part in _FOREIGN_MARKS)
    return bare if bare.isascii() else word
