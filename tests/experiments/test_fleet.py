"""Domains become sources: safe names, restartable, the same whatever the number of processes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hatlit.config import DataConfig, SourcesConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments import fleet
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import build_zoo, cached_zoo, noisy_copy, read_domains, refuse_too_many, source_id
from hatlit.zoo.card import is_safe_id
from hatlit.zoo.store import Zoo

QUIET = Display(silent=True)
QUICK = SourcesConfig(encoders=["cnn_nano", "tcn_nano"], max_epochs=2)


class Progress:
    """Goes through what is trained, remembers how many there were, and may be interrupted."""

    def __init__(self, stop_after=None):
        self.sizes, self.stop_after = [], stop_after

    def __call__(self, items):
        self.sizes.append(len(items))
        for done, item in enumerate(items, start=1):
            yield item
            if done == self.stop_after:
                raise KeyboardInterrupt


def build(people, url, config=QUICK, jobs=1, domains=None, progress=None):
    domains = people.domains if domains is None else domains
    return build_zoo(people, domains, url, config, jobs, (), progress or Progress())


@pytest.fixture(scope="module")
def zoo(people, tmp_path_factory):
    return build(people, tmp_path_factory.mktemp("zoos") / "zoo")


ODD_NAMES = [
    "Ä b/../c",
    "../..",
    "..",
    ".hidden",
    "/etc",
    "",
    " ",
    "日本",
    "日木",
    "a b",
    "a-b",
    "a/b",
    "x" * 500,
    "x" * 501,
]


def test_every_name_becomes_a_safe_id_of_its_own(make_domain):
    ids = [source_id(make_domain(name, 0, rows=3)) for name in ODD_NAMES]
    for name, found in zip(ODD_NAMES, ids, strict=True):
        assert is_safe_id(found), name
    assert len(set(ids)) == len(ODD_NAMES)


@pytest.mark.parametrize("name", ["ann", "person-1", "07", "a.b_c"])
def test_a_safe_name_is_its_own_id(make_domain, name):
    assert source_id(make_domain(name, 0, rows=3)) == name


def test_a_domain_with_an_odd_name_becomes_a_source(make_domain, tmp_path):
    domain = make_domain("Ä b/../c", 0, rows=30)
    zoo = build(DomainSet("arrays", "imu", (domain,), domain.class_names), tmp_path / "zoo")
    (card,) = zoo.cards()
    assert card.domain == "Ä b/../c"
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


def test_each_domain_has_a_source_and_architectures_take_turns(people, zoo):
    cards = {card.id: card for card in zoo.cards()}
    assert list(cards) == people.names
    assert [cards[name].encoder for name in people.names] == ["cnn_nano", "tcn_nano", "cnn_nano"]
    assert len({card.training.seed for card in cards.values()}) == 3
    for card in cards.values():
        assert set(card.statistics) == {"handcrafted", "random_kernels"}
        assert card.dataset == "arrays"
    assert all(fault is None for _, fault in zoo.verify())


def test_cards_carry_the_statistics_that_are_asked_for(people, zoo, tmp_path):
    few = replace(QUICK, statistics="moments, quantiles,moments")
    built = build(people, tmp_path / "zoo", few, domains=people.domains[:1])
    assert set(built.card("ann").statistics) == {"moments", "quantiles"}
    assert built.card("ann").sha256 == zoo.card("ann").sha256
    with pytest.raises(InputError, match="its modality or statistics differ"):
        build(people, tmp_path / "zoo")


def test_an_unknown_statistic_is_refused_before_anything_is_written(people, tmp_path):
    with pytest.raises(InputError, match="Unknown imu statistic 'moment'"):
        build(people, tmp_path / "zoo", replace(QUICK, statistics="moment"))
    assert not (tmp_path / "zoo").exists()


def test_the_turn_of_a_domain_does_not_depend_on_which_others_are_built(people, zoo, tmp_path):
    alone = build(people, tmp_path / "zoo", domains=people.domains[1:2])
    assert alone.ids() == ["bob"]
    assert alone.card("bob").sha256 == zoo.card("bob").sha256


def test_a_second_call_trains_only_what_is_missing(people, tmp_path):
    interrupted = Progress(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        build(people, tmp_path / "zoo", progress=interrupted)
    assert Zoo.open(tmp_path / "zoo").ids() == ["ann"]
    weights = tmp_path / "zoo" / "sources" / "ann" / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    again = Progress()
    assert build(people, tmp_path / "zoo", progress=again).ids() == people.names
    assert (interrupted.sizes, again.sizes) == ([3], [2])
    assert weights.stat().st_mtime_ns == stamp
    nothing = Progress()
    build(people, tmp_path / "zoo", progress=nothing)
    assert nothing.sizes == []


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(people, zoo, tmp_path):
    side_by_side = build(people, tmp_path / "zoo", jobs=2)
    assert side_by_side.cards() == zoo.cards()
    for name in people.names:
        first, second = (one.load(name).state_dict() for one in (zoo, side_by_side))
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_unknown_architecture_is_refused_before_anything_is_written(people, tmp_path):
    with pytest.raises(InputError, match="Unknown imu encoder 'cnn_nanoo'"):
        build(people, tmp_path / "zoo", SourcesConfig(encoders="cnn_nano,cnn_nanoo"))
    assert not (tmp_path / "zoo").exists()


def test_another_zoo_is_not_mixed_with_this_one(people, zoo, make_domain, tmp_path):
    other = make_domain("dot", 5, rows=30, channels=("x", "y"))
    with pytest.raises(InputError, match="another zoo"):
        build(DomainSet("arrays", "imu", (other,), other.class_names), zoo.url)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cached_zoo_has_every_other_domain_and_serves_the_next_target(people, cache):
    first, second = Progress(), Progress()
    config = SourcesConfig(encoders="cnn_nano", max_epochs=1)
    zoo = cached_zoo(people, people.domains[0], config, 1, (), first)
    assert zoo.ids() == ["bob", "cid"]
    zoo = cached_zoo(people, people.domains[1], config, 1, (), second)
    assert (first.sizes, second.sizes) == ([2], [1])
    assert zoo.ids() == ["ann", "bob", "cid"]
    assert str(cache) in zoo.url


def test_a_domain_without_labels_gets_no_source(people, cache):
    mute = replace(people.domains[2], labels=np.full(45, -1))
    data = DomainSet("arrays", "imu", (*people.domains[:2], mute), people.class_names)
    assert cached_zoo(data, people.domains[0], QUICK, 1, (), Progress()).ids() == ["bob"]


def test_more_sources_than_a_zoo_can_have_are_refused(people):
    mute = replace(people.domains[2], labels=np.full(45, -1))
    data = DomainSet("arrays", "imu", (*people.domains[:2], mute), people.class_names)
    refuse_too_many("--num_sources", 2, people, QUICK)
    refuse_too_many("--num_sources", 4, people, replace(QUICK, controls=1))
    with pytest.raises(InputError, match="--num_sources 2 asks for more sources than the 1 that the zoo can offer"):
        refuse_too_many("--num_sources", 2, data, QUICK)


def test_other_data_or_other_training_is_another_cached_zoo(people, make_domain, cache):
    changed = (*people.domains[:2], make_domain("cid", 77, rows=45))
    urls = {
        cached_zoo(data, data.domains[0], SourcesConfig(encoders="cnn_nano", max_epochs=epochs), 1, (), Progress()).url
        for data, epochs in (
            (people, 1),
            (people, 2),
            (DomainSet("arrays", "imu", changed, people.class_names), 1),
        )
    }
    assert len(urls) == 3


def test_control_sources_join_with_honest_cards_and_without_disturbing_others(people, cache):
    config = SourcesConfig(encoders="cnn_nano", max_epochs=2, controls=1)
    zoo = cached_zoo(people, people.domains[1], config, 1, (), Progress())
    assert sorted(zoo.ids()) == ["ann", "cid", "control-random-00", "control-shuffled-00"]
    random, shuffled, honest = (zoo.card(name) for name in ("control-random-00", "control-shuffled-00", "ann"))
    assert (random.domain, shuffled.domain) == ("ann", "ann")
    assert (random.training.max_epochs, shuffled.training.max_epochs) == (0, 2)
    assert random.sha256 != shuffled.sha256 != honest.sha256
    plain = cached_zoo(people, people.domains[1], QUICK, 1, (), Progress())
    assert sorted(plain.ids()) == ["ann", "cid"]
    stamp = (Path(zoo.url) / "sources" / "control-random-00" / "card.json").stat().st_mtime_ns
    cached_zoo(people, people.domains[1], config, 1, (), Progress())
    assert (Path(zoo.url) / "sources" / "control-random-00" / "card.json").stat().st_mtime_ns == stamp


def test_a_noisy_copy_has_the_same_models_and_other_cards(people, zoo):
    exact, noisy = noisy_copy(zoo, people, 0.0), noisy_copy(zoo, people, 0.5)
    assert list(exact.cards()) == list(zoo.cards())
    for one, other in zip(zoo.cards(), noisy.cards(), strict=True):
        assert (other.id, other.sha256, other.accuracy, other.noise) == (one.id, one.sha256, one.accuracy, 0.5)
        assert other.centroids != one.centroids
        assert other.statistics != one.statistics


def test_a_single_domain_has_nobody_to_learn_from(people, cache):
    alone = DomainSet("arrays", "imu", people.domains[:1], people.class_names)
    with pytest.raises(InputError, match="no labelled domain besides the target 'ann'; name a --zoo"):
        cached_zoo(alone, alone.domains[0], QUICK, 1, (), Progress())


def test_the_data_that_options_name(arrays):
    data = read_domains("imu", DataConfig(name="arrays", root=str(arrays)), QUIET)
    assert data.names == ["ann", "bob", "cid"]
    with pytest.raises(InputError, match="Unknown modality 'imuu'"):
        read_domains("imuu", DataConfig(), QUIET)
    with pytest.raises(InputError, match="Unknown imu data set 'aray'"):
        read_domains("imu", DataConfig(name="aray"), QUIET)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("arrays", "leave the class out of class_names"), ("spar", "all of the set's files are in 'somewhere'")],
)
def test_a_class_that_nobody_has_is_refused(people, monkeypatch, name, remedy):
    data = DomainSet(name, "imu", people.domains, (*people.class_names, "flying"))
    monkeypatch.setattr(fleet.DATASETS, "get", lambda *_: lambda *_: data)
    with pytest.raises(InputError, match=f"Class 'flying' of data set '{name}' has no labelled .* {remedy}"):
        read_domains("imu", DataConfig(name=name, root="somewhere"), QUIET)


def test_data_are_fetched_first_where_the_options_say_so(arrays, monkeypatch):
    asked = []

    def fetch(name, modality, root, progress):
        asked.append((name, modality, root))
        progress(1, 2)
        return arrays

    monkeypatch.setattr(fleet, "fetch", fetch)
    data = read_domains("imu", DataConfig(name="arrays", root="elsewhere", download=True), QUIET)
    assert asked == [("arrays", "imu", Path("elsewhere"))]
    assert data.names == ["ann", "bob", "cid"]


def test_what_has_no_address_is_not_downloaded():
    with pytest.raises(InputError, match=r"'demo' cannot be downloaded.*leave out --data.download"):
        read_domains("imu", DataConfig(download=True), QUIET)
