from hypothesis import given
from hypothesis import strategies as st

from hatlit.seeds import seed_of

PARTS = st.lists(st.integers() | st.text(), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_other_parts_give_another_seed(some, others):
    assert (seed_of(*some) == seed_of(*others)) == (some == others)
    assert 0 <= seed_of(*some) < 2**63


def test_order_of_batches_and_draws_of_sources_stay_what_they_were():
    assert seed_of(0, 1) == 6403782323461907794
    assert seed_of(0, "ann", "bob") != seed_of(0, "bob", "ann")
