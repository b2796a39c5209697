"""The data sets that need no files: each module of ``datamodules/synthetic`` registers its modality's ``demo``."""

import importlib
import pkgutil

from hatlit.datamodules import synthetic

for module in pkgutil.iter_modules(synthetic.__path__):
    importlib.import_module(f"{synthetic.__name__}.{module.name}")
