from hatlit.experiments.report.html import number_columns, table

ROWS = [
    {"method": "3nn", "accuracy": "81.2 [79.0, 83.1]", "ahead": "-", "won": "12/3/3", "runs": "17 of 18", "size": "-"},
    {"method": "a<b", "accuracy": "9.0 [-1.0, 12.5]", "ahead": "-3.1", "won": "0/0/9", "runs": "18", "size": "2.5 MB"},
]


def test_columns_of_numbers_are_those_with_nothing_else():
    assert number_columns(ROWS) == {"accuracy", "ahead", "won", "runs", "size"}
    assert number_columns([{"gap": "-", "reason": "3 classes are too few"}]) == set()
    assert number_columns([]) == set()


def test_numbers_are_flush_right_under_their_heads_and_texts_are_escaped():
    page = table(ROWS)
    assert "<th>method</th>" in page
    assert '<th class="number">accuracy</th>' in page
    assert '<td class="number">12/3/3</td>' in page
    assert "<td>a&lt;b</td>" in page
    assert page.count("<tr>") == 3


def test_a_table_of_nothing():
    assert table([]) == "<table><thead><tr></tr></thead><tbody></tbody></table>"
