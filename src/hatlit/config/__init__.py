"""Every option of a run. The fields are the command line, the YAML keys and the documentation at once.

Nothing here imports torch, so that ``--help`` answers at once.
"""

from hatlit.config.checks import Names, names
from hatlit.config.commands import (
    CACHED,
    CompareConfig,
    DoctorConfig,
    ExpansionConfig,
    ExportConfig,
    ListConfig,
    PlotConfig,
    PredictConfig,
    PruneConfig,
    StudentsConfig,
    StudyConfig,
    TrainConfig,
    ZooAddConfig,
    ZooBuildConfig,
)
from hatlit.config.hat import DictionaryConfig, ExpertsConfig, HaTConfig, InjectionConfig, MixerConfig
from hatlit.config.parts import (
    AdaptConfig,
    CacheConfig,
    DataConfig,
    DeviceConfig,
    DistillationConfig,
    LabelsConfig,
    OptimizerConfig,
    SelectionConfig,
    SourcesConfig,
    TrainerConfig,
)

__all__ = [
    "CACHED",
    "AdaptConfig",
    "CacheConfig",
    "CompareConfig",
    "DataConfig",
    "DeviceConfig",
    "DictionaryConfig",
    "DistillationConfig",
    "DoctorConfig",
    "ExpansionConfig",
    "ExpertsConfig",
    "ExportConfig",
    "HaTConfig",
    "InjectionConfig",
    "LabelsConfig",
    "ListConfig",
    "MixerConfig",
    "Names",
    "OptimizerConfig",
    "PlotConfig",
    "PredictConfig",
    "PruneConfig",
    "SelectionConfig",
    "SourcesConfig",
    "StudentsConfig",
    "StudyConfig",
    "TrainConfig",
    "TrainerConfig",
    "ZooAddConfig",
    "ZooBuildConfig",
    "names",
]
