"""Targets that cannot be are refused before anything takes time."""

from dataclasses import replace

import numpy as np
import pytest

from hatlit.config import TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments.prepare import choose_target, source_domains
from hatlit.selection.protocol import Selection
from hatlit.selection.traffic import Traffic
from hatlit.zoo.card import Provenance
from hatlit.zoo.store import Zoo


@pytest.fixture
def choose(display):
    """Chooses the target among domains; says what is said in ``display``."""

    def run(*domains, is_demo=False, **options):
        data = DomainSet("people", "imu", domains, domains[0].class_names, is_demo)
        return choose_target(data, data, TrainConfig(**options), display)

    return run


def test_the_first_domain_or_the_one_that_is_named(choose, people):
    assert choose(*people.domains).domain.name == "ann"
    assert choose(*people.domains, target="bob").domain.name == "bob"
    with pytest.raises(InputError, match="did you mean bob"):
        choose(*people.domains, target="bobb")


def test_what_is_said_about_it(choose, people, display):
    target = choose(*people.domains)
    train, test = len(target.split.train), len(target.split.test)
    assert display.shown() == (
        f"people: 3 domains; target ann has 3 classes, {train} training samples, 3 of them labelled, "
        f"and {test} test samples\n"
    )


def test_demo_data_are_called_so(choose, people, display):
    choose(*people.domains, is_demo=True)
    assert "demo data: simulated, not recorded" in display.shown()


def test_classes_that_the_target_lacks_are_named(choose, people, display):
    ann = people.domains[0]
    still = ann.labels != 2
    lacking = replace(ann, samples=ann.samples[still], labels=ann.labels[still], groups=ann.groups[still])
    assert choose(lacking).class_names == ("slow", "fast")
    assert "target ann has no samples of still; its student will not know them" in display.shown()


def test_a_target_without_labels_is_refused(choose, people):
    with pytest.raises(InputError, match="Target 'ann' has no labelled sample"):
        choose(replace(people.domains[0], labels=np.full(45, -1)))


def test_a_target_too_small_for_a_test_part_is_refused(choose, make_domain):
    with pytest.raises(InputError, match="Target 'ann' has too few labelled samples to keep any for the test"):
        choose(make_domain("ann", 0, rows=3))


def test_recordings_of_students_with_all_their_labels_are_given_to_nobody(people, zoo_of_two):
    source, student = Zoo.open(zoo_of_two).cards()
    cards = [source, student.model_copy(update={"provenance": Provenance(round=1, parents=(source.id,))})]
    names = [card.domain for card in cards]
    data = replace(people, domains=tuple(replace(people.domains[0], name=name) for name in names))
    traffic = Traffic(everything=0)
    given = source_domains(TrainConfig(method="dann"), data, Selection([], [], cards, traffic))
    assert [domain.name for domain in given] == names[:1]
    assert traffic.total == given[0].samples.nbytes
