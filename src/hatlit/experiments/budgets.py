"""What each domain's device can carry, where they differ: a file of limits by domain."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hatlit.config import LIMITS
from hatlit.errors import InputError, unknown_name
from hatlit.files import read_yaml


def read_budgets(path: str, domains: Collection[str] | None = None) -> Mapping[str, Mapping[str, float]]:
    """Reads limits by domain, YAML or JSON: ``person-3: {max_bytes: 30000}``.

    Args:
        path: of the file.
        domains: names of those that there are; None where that was checked before.

    Raises:
        InputError: it cannot be read, or names a domain or a limit that there is none of, or a limit is no number.
    """
    content = read_yaml(path, "budgets")
    if not isinstance(content, dict) or not all(isinstance(limits, dict) for limits in content.values()):
        raise InputError(f"The budgets '{path}' must give each domain its limits, such as max_bytes: 30000.")
    for domain, limits in content.items():
        if domains is not None and domain not in domains:
            raise unknown_name("domain", str(domain), list(domains), where=f"in the budgets '{path}'")
        for name, limit in limits.items():
            if name not in LIMITS:
                raise unknown_name("limit", str(name), list(LIMITS), where=f"of '{domain}' in the budgets '{path}'")
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
                raise InputError(f"The limit {name} of '{domain}' in the budgets '{path}' must be a number above 0.")
    return content
