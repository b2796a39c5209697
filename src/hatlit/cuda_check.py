"""How torch finds out whether there is a GPU, which it does at each step of an optimizer."""

from __future__ import annotations

import os

import torch

#: "1" makes torch ask NVIDIA's management library first, so that CUDA still works in processes that are forked later.
VARIABLE = "PYTORCH_NVML_BASED_CUDA_CHECK"


def ask_briefly() -> None:
    """Lets torch ask CUDA alone where there is no GPU; called before an optimizer is made.

    Lightning's import sets the variable for everybody, whatever it was before. Where that library is missing, each step
    of an optimizer then looks for it on the disk, which takes about as long as moving the weights of a small model, and
    asks CUDA after all. With a GPU nothing changes, and no other value of the variable does.
    """
    if os.environ.get(VARIABLE) == "1" and not torch.cuda.is_available():
        os.environ[VARIABLE] = "0"
