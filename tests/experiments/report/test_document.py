import pytest

from hatlit.experiments.report.document import (
    Code,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Table,
    as_html,
    as_markdown,
    plain,
)
from hatlit.experiments.report.drawing import as_png, new_figure

ODD = "<b>&|*x* `y` _z_ a_b [l](u)"


@pytest.fixture
def picture():
    return Picture("one", "a caption", f"an alt {ODD}", as_png(new_figure(3, 2, "title", "where")))


@pytest.mark.parametrize("block", [Heading(ODD), Paragraph(ODD), Notice(ODD), Code(ODD), Table([{ODD: ODD}])])
def test_every_block_escapes(block):
    assert "&lt;b&gt;&amp;|*x* `y` _z_ a_b [l](u)" in block.html()
    if not isinstance(block, Code):
        assert "&lt;b&gt;&amp;\\|\\*x\\* \\`y\\` \\_z\\_ a_b [l\\](u)" in block.markdown()


def test_code_stays_as_it_is_in_markdown():
    assert Code(f"{ODD}\n```").markdown() == f"    {ODD}\n    ```"


def test_markdown_leaves_names_and_intervals_readable():
    assert plain("labels_only 81.2 [79.0, 83.1]") == "labels_only 81.2 [79.0, 83.1]"
    assert plain("# not a\nheading") == "\\# not a heading"


def test_tables_in_markdown_have_numbers_on_the_right():
    lines = Table([{"method": "a|b", "accuracy": "81.2 [79.0, 83.1]"}]).markdown().splitlines()
    assert lines == ["| method | accuracy |", "| --- | ---: |", "| a\\|b | 81.2 [79.0, 83.1] |"]


def test_pictures_say_their_size_and_what_is_to_be_seen(picture):
    assert 'width="288" height="192" src="data:image/png;base64,' in picture.html()
    assert 'alt="an alt &lt;b&gt;' in picture.html()
    assert "](figures/one.png)\n\na caption" in picture.markdown()


def test_both_forms_have_every_block_in_order(picture):
    blocks = [Heading("first section"), picture, Paragraph("last words")]
    for page in (as_html("title", blocks), as_markdown("title", blocks)):
        places = [page.index(text) for text in ("title", "first section", "a caption", "last words")]
        assert places == sorted(places)
