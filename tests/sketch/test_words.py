"""How texts become words."""

import unicodedata

import pytest

from sketch.words import is_word, plain, words_in


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A gemütlichen Raum", ["a", "gemütlichen", "raum"]),
        (unicodedata.normalize("NFD", "gemütlichen"), ["gemütlichen"]),
        ("кот, спит!", ["кот", ",", "спит", "!"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("한국어 그림", ["한국어", "그림"]),
        ("雪の中の狐。", ["雪の中の狐", "。"]),
        ("polar-bear’s 3 cats - 'no'", ["polar-bear’s", "3", "cats", "-", "'", "no"]),
        ("🐱❤️x", ["🐱", "❤", "x"]),
        ("", []),
    ],
)
def test_words_are_letters_of_any_script_with_their_marks(text: str, words: list[str]) -> None:
    assert words_in(text) == words


@pytest.mark.parametrize(
    ("word", "is_one"),
    [("cat", True), ("x", False), ("7", False), ("猫", True), ("🫠", True), (",", False), ("12", False)],
)
def test_what_says_something_is_worth_a_mention(word: str, *, is_one: bool) -> None:
    assert is_word(word) is is_one


@pytest.mark.parametrize(("word", "bare"), [("café", "cafe"), ("piñata", "pinata"), ("bär", "bär"), ("狐", "狐")])
def test_accents_are_left_out_where_english_does(word: str, bare: str) -> None:
    assert plain(word) == bare
