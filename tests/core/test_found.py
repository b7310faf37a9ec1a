"""Lists of values: names of partitions, and which list counts."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from worker.core.found import Standing, list_of, partition_name

texts = st.text(max_size=8)


@given(texts, texts, texts)
def test_names_of_partitions_that_are_found_tell_values_apart(a: str, b: str, zone: str) -> None:
    first = partition_name({"zone": zone, "repo": a}, "repo")
    second = partition_name({"zone": zone, "repo": b}, "repo")
    assert (first == second) == (a == b)


@given(texts)
def test_a_name_can_be_read_back(value: str) -> None:
    name, _, rest = partition_name({"repo": value}, "repo").partition("=")
    assert name == "repo"
    assert not {",", "="} & set(rest)
    assert rest.replace("%2C", ",").replace("%3D", "=").replace("%25", "%") == value


def test_values_that_are_listed_keep_the_name_that_they_have() -> None:
    assert partition_name({"tenant": "a=b,c"}, "other") == "tenant=a=b,c"
    assert unquote(partition_name({"repo": "a=b,c%"}, "repo")) == "repo=a=b,c%"


def test_lists_of_other_fields_are_others() -> None:
    assert len({list_of("a", ()), list_of("a", ("b",)), list_of("b", ("a",))}) == 3


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_a_list_counts_unless_less_than_half_of_its_values_are_left(sizes: list[int]) -> None:
    stands = Standing("id")
    for pass_no, size in enumerate(sizes, 1):
        before, stands = stands, stands.after(pass_no, size)
        assert (stands.ended, stands.ended_size) == (pass_no, size)
        if 2 * size < before.size:
            assert stands.doubtful
            assert (stands.pass_no, stands.size) == (before.pass_no, before.size)
        else:
            assert not stands.doubtful
            assert (stands.pass_no, stands.size) == (pass_no, size)
