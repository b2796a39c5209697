"""Every option of a run. The fields are the command line, the YAML keys and the documentation at once.

Nothing here imports torch, so that ``--help`` answers at once.
"""

from hatlit.config.checks import Names, names
from hatlit.config.commands import (
    CompareConfig,
    ExpandConfig,
    ExpansionConfig,
    StudyConfig,
    TrainConfig,
)
from hatlit.config.hat import DictionaryConfig, ExpertsConfig, HaTConfig, InjectionConfig, MixerConfig
from hatlit.config.parts import (
    LIMITS,
    AdaptConfig,
    CacheConfig,
    DataConfig,
    DeviceConfig,
    DistillationConfig,
    LabelsConfig,
    OptimizerConfig,
    RayConfig,
    SelectionConfig,
    SourcesConfig,
    TrainerConfig,
)
from hatlit.config.tools import (
    CACHED,
    DoctorConfig,
    ExportConfig,
    ListConfig,
    PlotConfig,
    PredictConfig,
    PruneConfig,
    RerunConfig,
    StudentsConfig,
    SuggestConfig,
    ZooAddConfig,
    ZooAddRunConfig,
    ZooBuildConfig,
)

__all__ = [
    "CACHED",
    "LIMITS",
    "AdaptConfig",
    "CacheConfig",
    "CompareConfig",
    "DataConfig",
    "DeviceConfig",
    "DictionaryConfig",
    "DistillationConfig",
    "DoctorConfig",
    "ExpandConfig",
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
    "RayConfig",
    "RerunConfig",
    "SelectionConfig",
    "SourcesConfig",
    "StudentsConfig",
    "StudyConfig",
    "SuggestConfig",
    "TrainConfig",
    "TrainerConfig",
    "ZooAddConfig",
    "ZooAddRunConfig",
    "ZooBuildConfig",
    "names",
]
