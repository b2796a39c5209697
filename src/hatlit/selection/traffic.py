"""What selection and transfer would cost over a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Stage = Literal["coarse", "fine", "transfer"]

#: In their order.
STAGES: tuple[Stage, ...] = get_args(Stage)

#: Bytes of one float32 number, as statistics and centroids travel.
FLOAT_BYTES = 4


@dataclass
class StageTraffic:
    """Bytes of one stage.

    Attributes:
        up: bytes that the target's device sends.
        down: bytes that the target's device receives.
        read: bytes read from the zoo's files, wherever it lies; a model that was let go of and is chosen after all
            is read twice.
    """

    up: int = 0
    down: int = 0
    read: int = 0


@dataclass
class Traffic:
    """Bytes between the target's device and the zoo, by stage.

    Attributes:
        everything: bytes of all models of the zoo: what it would cost to send them all instead of selecting.
        stages: the stages in their order.
    """

    everything: int
    stages: dict[Stage, StageTraffic] = field(default_factory=lambda: {stage: StageTraffic() for stage in STAGES})

    def add(self, stage: Stage, up: int = 0, down: int = 0, read: int = 0) -> None:
        """Counts bytes that the target's device sends (up) and receives (down), and that files gave (read)."""
        self.stages[stage].up += up
        self.stages[stage].down += down
        self.stages[stage].read += read

    @property
    def total(self) -> int:
        """Bytes of all stages, both ways; what is read is the same again, seen from the files."""
        return sum(stage.up + stage.down for stage in self.stages.values())

    @property
    def against_everything(self) -> float:
        """The total as a share of sending every model; 0 where there is no model to send."""
        return self.total / self.everything if self.everything else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Returns everything counted as plain values, ready for JSON."""
        return {**asdict(self), "total": self.total, "against_everything": self.against_everything}
