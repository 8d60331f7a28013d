r"""Attacks: searches for neighbours that the model gets wrong.

An attack is an input move with a choice of target, restarts, the strongest iterate kept, and a
verdict for every image. It is a frozen dataclass called with (model, x, y, *, rng=None) and returns
a `Result`. The model is judged in eval mode and left as it was; y may be classes or distributions.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    >>> x, y = torch.rand(6, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> result = PGD(eps=0.3, step_size=0.1, steps=10)(model, x, y)
    >>> result.adv.shape, result.success.dtype, str(result.passes)
    (torch.Size([6, 1, 4, 4]), torch.bool, '11+10')
"""

from vicinal._typing import Attack
from vicinal.attacks.apgd import APGD
from vicinal.attacks.autoattack import AutoAttack
from vicinal.attacks.cw_l2 import CWL2
from vicinal.attacks.fab import FAB
from vicinal.attacks.fgsm import FGSM
from vicinal.attacks.fmn import FMN
from vicinal.attacks.foreign import Foreign
from vicinal.attacks.matrix import TransferMatrix, transfer_matrix
from vicinal.attacks.mi_fgsm import MIFGSM
from vicinal.attacks.noise import UniformNoise
from vicinal.attacks.pgd import PGD
from vicinal.attacks.result import Result
from vicinal.attacks.rounded import Rounded
from vicinal.attacks.square import Square
from vicinal.attacks.transfer import Transfer

__all__ = [
    # white box
    "FGSM",
    "PGD",
    "MIFGSM",
    "CWL2",
    "APGD",
    "FAB",
    "FMN",
    # black box
    "Square",
    "UniformNoise",
    "Transfer",
    "TransferMatrix",
    "transfer_matrix",
    # several in a row
    "AutoAttack",
    # on pictures of 8 bits
    "Rounded",
    # from elsewhere
    "Foreign",
    # contract, value and table
    "Attack",
    "Result",
    "ATTACKS",
]

ATTACKS: dict[str, type[Attack]] = {
    "fgsm": FGSM,
    "pgd": PGD,
    "mi_fgsm": MIFGSM,
    "cw_l2": CWL2,
    "apgd": APGD,
    "fab": FAB,
    "fmn": FMN,
    "square": Square,
    "uniform_noise": UniformNoise,
    "autoattack": AutoAttack,
    "transfer": Transfer,
    "rounded": Rounded,
}
"""The attacks that a recipe or the command line may name."""
