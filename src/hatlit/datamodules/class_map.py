"""Classes that go by several names: a file says which domain or source calls a class what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.errors import InputError, unknown_name
from hatlit.files import read_yaml
from hatlit.types import UNLABELLED

#: What the file may have at its top.
PARTS = ("all", "domains", "sources")

Names = Mapping[str, str]


@dataclass(frozen=True)
class ClassMap:
    """New names of classes.

    Attributes:
        everywhere: by old name, in every domain and source.
        domains: by domain, by old name; these go before ``everywhere``.
        sources: likewise, by id of a source of a given zoo.
    """

    everywhere: Names = field(default_factory=dict)
    domains: Mapping[str, Names] = field(default_factory=dict)
    sources: Mapping[str, Names] = field(default_factory=dict)

    def of_source(self, source: str, class_names: tuple[str, ...]) -> tuple[str, ...]:
        """The class names of a source under their new names.

        Raises:
            InputError: the file names a class that the source does not have, or two classes get one name.
        """
        own = self.sources.get(source, {})
        for name in own:
            if name not in class_names:
                raise unknown_name("class", name, class_names, where=f"of source '{source}' in --data.class_map")
        renamed = tuple(own.get(name, self.everywhere.get(name, name)) for name in class_names)
        if len(set(renamed)) < len(renamed):
            (twice, *_) = [name for name in renamed if renamed.count(name) > 1]
            raise InputError(f"--data.class_map gives two classes of source '{source}' the name '{twice}'.")
        return renamed


def read_class_map(path: str) -> ClassMap:
    """Reads a class map, YAML or JSON: ``all``, ``domains`` and ``sources``, each with old names and new ones.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    content = read_yaml(path, "class map")
    if not isinstance(content, dict):
        raise InputError(
            f"The class map '{path}' must be a mapping with one or more of 'all', 'domains' and 'sources' at its top."
        )
    for part in content:
        if part not in PARTS:
            raise unknown_name("part", str(part), list(PARTS), where=f"of the class map '{path}'")
    inner = {part: content.get(part) or {} for part in PARTS}
    for part in PARTS[1:]:
        if not isinstance(inner[part], dict):
            raise InputError(f"'{part}' of the class map '{path}' must say for each name how classes are renamed.")
        inner[part] = {str(one): _names(path, f"{part}.{one}", names) for one, names in inner[part].items()}
    return ClassMap(_names(path, "all", inner["all"]), inner["domains"], inner["sources"])


def rename_classes(data: DomainSet, names: ClassMap) -> DomainSet:
    """The same domains with their classes under the new names; two that get one name in a domain become one.

    Raises:
        InputError: the map names a domain or a class that is not there.
    """
    for domain, own in names.domains.items():
        data.domain(domain)  # says which one is not there
        for name in own:
            _check(name, data)
    unknown = [name for name in names.everywhere if name not in data.class_names]
    if unknown and not names.sources:  # else a source may be the one that has it
        _check(unknown[0], data)
    renamed = [_renamed(domain, names) for domain in data.domains]
    class_names = tuple(dict.fromkeys(name for one in renamed for name in one if name is not None))
    place = {name: number for number, name in enumerate(class_names)}
    domains = tuple(
        replace(
            domain,
            labels=_relabelled(domain.labels, [UNLABELLED if name is None else place[name] for name in new]),
            class_names=class_names,
        )
        for domain, new in zip(data.domains, renamed, strict=True)
    )
    return replace(data, domains=domains, class_names=class_names)


def _renamed(domain: Domain, names: ClassMap) -> list[str | None]:
    """By old number, the new name of each class; None where another domain's new name leaves no sample of the old."""
    own = names.domains.get(domain.name, {})
    present = set(domain.labels.tolist())
    return [
        own.get(name, names.everywhere.get(name, name)) if number in present else None
        for number, name in enumerate(domain.class_names)
    ]


def _relabelled(labels: np.ndarray, new: list[int]) -> np.ndarray:
    table = np.array([*new, UNLABELLED], dtype=np.int64)
    return table[np.where(labels == UNLABELLED, len(new), labels)]


def _check(name: str, data: DomainSet) -> None:
    if name not in data.class_names:
        where = f"of data set '{data.name}' in --data.class_map"
        raise unknown_name("class", name, data.class_names, where=where)


def _names(path: str, where: str, names: Any) -> Names:
    if not isinstance(names, dict) or not all(
        isinstance(text, str) and text for item in names.items() for text in item
    ):
        raise InputError(
            f"'{where}' of the class map '{path}' must map old class names to new ones, all of them texts."
        )
    return names
