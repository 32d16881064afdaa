"""A model's files behind one interface: its config, and its weights under Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import CheckpointError, ModelNotFoundError

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType
    from torch import Tensor

    from rnj_agent.runtime.quant.fp8 import Fp8Weight


class Checkpoint(Protocol):
    """Reading weights costs memory only while they are read."""

    @property
    def path(self) -> Path: ...

    @property
    def format(self) -> Literal["gguf", "safetensors"]: ...

    @property
    def config(self) -> ModelConfig: ...

    @property
    def metadata(self) -> Mapping[str, object] | None:
        """A GGUF file's header, so that tokenizer and template need not parse it again."""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of every tensor, by its Hugging Face name ("model.layers.0.mlp.up_proj.weight")."""
        ...

    @property
    def norm_offset(self) -> float:
        """What must be added to a stored norm weight to get its multiplier: Gemma's HF files hold w
        where the multiplier is 1 + w; GGUF holds the multiplier.
        """
        ...

    @property
    def fp8_weights(self) -> Set[str]:
        """Names of weights that are stored in FP8 with a scale for each row."""
        ...

    @property
    def is_quantized(self) -> bool:
        """Whether the large weights are stored in less than 16 bits."""
        ...

    @property
    def block_types(self) -> Mapping[str, GGMLQuantizationType]:
        """How a GGUF file stores its tensors; other formats have none."""
        ...

    def load_blocks(self, name: str) -> Tensor:
        """A tensor of ``block_types`` as it is stored: uint8 [bytes], rows in this runtime's order.

        Valid until the next tensor is read.
        """
        ...

    def load_into(self, name: str, out: Tensor) -> None:
        """Fill ``out``, contiguous and of the tensor's shape, converting to its dtype and device.

        Raises:
            CheckpointError: the stored bytes cannot be read as weights.
        """
        ...

    def load_fp8_into(self, name: str, out: Fp8Weight) -> None:
        """Fill ``out`` with a weight of ``fp8_weights`` as it is stored.

        Raises:
            CheckpointError: the stored bytes cannot be read as weights, or are not finite.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a GGUF file, or a folder that holds one or a Hugging Face checkpoint.

    Raises:
        ModelNotFoundError: nothing is there.
        CheckpointError: what is there is damaged, incomplete or not supported.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise ModelNotFoundError(
            f"no file or folder {path}", hint="See what there is: rnj-agent model list"
        )
    if path.suffix == ".safetensors" or path.name == "config.json":
        return _open_folder(path.parent)
    return _open_gguf(path)


def _open_folder(folder: Path) -> Checkpoint:
    if (folder / "config.json").exists():
        from rnj_agent.runtime.weights.safetensors import SafetensorsCheckpoint

        return SafetensorsCheckpoint(folder)
    gguf_files = sorted(folder.glob("*.gguf"))
    if len(gguf_files) == 1:
        return _open_gguf(gguf_files[0])
    if gguf_files:
        names = ", ".join(file.name for file in gguf_files)
        raise CheckpointError(f"{folder} holds several models: {names}", hint="Name one of them.")
    raise CheckpointError(
        f"{folder} holds neither a config.json with safetensors nor a .gguf file",
        hint="See what there is: rnj-agent model list",
    )


def _open_gguf(path: Path) -> Checkpoint:
    from rnj_agent.runtime.weights.gguf import GGUFCheckpoint

    return GGUFCheckpoint(path)
