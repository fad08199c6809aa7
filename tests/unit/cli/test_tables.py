from limner.cli.tables import Column, column_widths, shown_columns

COLUMNS = (Column("ID"), Column("BY", leaves=2), Column("PROMPT", leaves=1, least=8), Column("SIZE"))
WIDEST = (32, 10, 400, 7)


def headers(width: int) -> list[str]:
    return [COLUMNS[place].header for place in shown_columns(COLUMNS, WIDEST, width)]


def test_free_text_shrinks_before_any_column_leaves() -> None:
    assert headers(500) == headers(63) == ["ID", "BY", "PROMPT", "SIZE"]


def test_columns_leave_in_the_order_that_is_said() -> None:
    assert headers(62) == ["ID", "PROMPT", "SIZE"]
    assert headers(50) == ["ID", "SIZE"]


def test_ids_stay_however_narrow_the_terminal_is() -> None:
    assert headers(10) == ["ID", "SIZE"]


def test_free_text_gets_what_is_left() -> None:
    assert column_widths(COLUMNS, WIDEST, [0, 2, 3], 80) == [32, 37, 7]
    assert column_widths(COLUMNS, WIDEST, [0, 2, 3], 20) == [32, 8, 7]
