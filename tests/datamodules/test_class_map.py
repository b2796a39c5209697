"""Classes that go by several names."""

import json

import numpy as np
import pytest

from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.class_map import ClassMap, read_class_map, rename_classes
from hatlit.errors import InputError


@pytest.fixture
def data(make_domain):
    domains = tuple(make_domain(name, seed, rows=9) for seed, name in enumerate(("ann", "bob")))
    return DomainSet("people", "imu", domains, domains[0].class_names)


def names_of(domain):
    return [None if label < 0 else domain.class_names[label] for label in domain.labels]


def test_a_domain_calls_its_classes_what_others_do(data):
    data.domains[0].labels[0] = -1
    found = rename_classes(data, ClassMap({"still": "rest"}, {"ann": {"slow": "fast"}}))
    assert found.class_names == ("fast", "rest", "slow")
    assert names_of(found.domain("ann")) == [None, "fast", "rest", "fast", "fast", "rest", "fast", "fast", "rest"]
    assert names_of(found.domain("bob")) == ["slow", "fast", "rest"] * 3
    assert found.fingerprint != data.fingerprint
    np.testing.assert_array_equal(found.domains[1].samples, data.domains[1].samples)


def test_a_name_that_no_domain_uses_any_more_is_gone(data):
    found = rename_classes(data, ClassMap({"still": "rest"}))
    assert found.class_names == ("slow", "fast", "rest")
    assert all(domain.class_names == found.class_names for domain in found.domains)


@pytest.mark.parametrize("name", ["map.yaml", "map.json"])
def test_a_file_is_yaml_or_json(tmp_path, name):
    content = {"all": {"still": "rest"}, "domains": {"ann": {"slow": "stroll"}}, "sources": {"old": {"a": "slow"}}}
    text = json.dumps(content) if name.endswith("json") else "all: {still: rest}\ndomains:\n  ann: {slow: stroll}\n"
    (tmp_path / name).write_text(text)
    found = read_class_map(str(tmp_path / name))
    assert found.everywhere == {"still": "rest"} and found.domains == {"ann": {"slow": "stroll"}}


def test_sources_are_renamed_and_two_of_one_name_refused():
    names = ClassMap({"still": "rest"}, {}, {"old": {"a": "slow"}, "odd": {"a": "b"}})
    assert names.of_source("old", ("a", "still")) == ("slow", "rest")
    assert names.of_source("new", ("a", "still")) == ("a", "rest")
    with pytest.raises(InputError, match=r"two classes of source 'odd' the name 'b'"):
        names.of_source("odd", ("a", "b"))
    with pytest.raises(InputError, match=r"'a' of source 'old' in --data\.class_map"):
        names.of_source("old", ("still", "slow"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "must be a mapping with one or more of 'all', 'domains' and 'sources' at its top"),
        ("domain: {}", "Unknown part 'domain'"),
        ("all: {a: 1}", "'all' of the class map .* must map old class names to new ones"),
        ("domains: {ann: [a]}", "'domains.ann' of the class map"),
        ("domains: [a]", "must say for each name"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, text, says):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        read_class_map(str(tmp_path / "map.yaml"))


def test_what_is_not_there_cannot_be_renamed(data):
    with pytest.raises(InputError, match="Unknown domain 'zoe'"):
        rename_classes(data, ClassMap({}, {"zoe": {}}))
    with pytest.raises(InputError, match=r"Unknown class 'jump' of data set 'people' in --data\.class_map"):
        rename_classes(data, ClassMap({}, {"ann": {"jump": "hop"}}))
    with pytest.raises(InputError, match="Unknown class 'jump'"):
        rename_classes(data, ClassMap({"jump": "hop"}))
