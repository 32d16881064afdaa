"""Reads GGUF files: metadata as plain Python values, tensors as bounds-checked views of the file.

The ``gguf`` package supplies the tables (value types, block sizes). Its ``GGUFReader`` is not used:
it makes several numpy arrays per vocabulary entry (15 s against 0.3 s for 151,936 tokens, on
two shared cores) and loops over whatever length a corrupt file claims. Nothing here dequantises;
that is ``runtime.quant``.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

from rnj_agent.runtime.errors import CheckpointError

if TYPE_CHECKING:
    import torch

SUPPORTED_VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_DIMS = 4
MAX_ARRAY_DEPTH = 4
MIN_PAIR_BYTES = 8 + 4 + 1
MIN_TENSOR_INFO_BYTES = 8 + 4 + 8 + 4 + 8
HINT = (
    "damaged, or not a model; fetch it again: rnj-agent model rm NAME && rnj-agent model pull NAME"
)

SCALARS: Mapping[int, struct.Struct] = MappingProxyType(
    {
        GGUFValueType.UINT8: struct.Struct("<B"),
        GGUFValueType.INT8: struct.Struct("<b"),
        GGUFValueType.UINT16: struct.Struct("<H"),
        GGUFValueType.INT16: struct.Struct("<h"),
        GGUFValueType.UINT32: struct.Struct("<I"),
        GGUFValueType.INT32: struct.Struct("<i"),
        GGUFValueType.FLOAT32: struct.Struct("<f"),
        GGUFValueType.BOOL: struct.Struct("<?"),
        GGUFValueType.UINT64: struct.Struct("<Q"),
        GGUFValueType.INT64: struct.Struct("<q"),
        GGUFValueType.FLOAT64: struct.Struct("<d"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUFTensor:
    """Where one tensor lies in the file."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first, as in PyTorch (the file stores the reverse)."""
    type: GGMLQuantizationType
    offset: int
    """Bytes from the start of the file."""
    size_bytes: int


class GGUFFile:
    """An open GGUF file. Close it, or use it as a context manager.

    Raises:
        CheckpointError: not a GGUF file, cut off, or inconsistent in itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _map_file(path)
        self._read_last: GGUFTensor | None = None
        try:
            cursor = _Cursor(self._map, path)
            num_tensors, num_pairs = _read_header(cursor)
            self.metadata: Mapping[str, object] = MappingProxyType(_read_pairs(cursor, num_pairs))
            self.tensors: Mapping[str, GGUFTensor] = MappingProxyType(
                _read_tensor_infos(cursor, num_tensors, self._alignment(cursor))
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> GGUFFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap, unless a tensor still views the file: then its last view does it."""
        try:
            self._map.close()
        except BufferError:
            return

    def read(self, name: str) -> torch.Tensor:
        """The raw bytes of a tensor: uint8 [size_bytes], a private view of the file, not a copy.

        Memory that the last tensor's pages took is given back; whoever still views it reads the
        file again.
        """
        import numpy as np
        import torch

        self._let_go_of_last()
        tensor = self._read_last = self.tensors[name]
        # not torch.frombuffer: only numpy's view keeps the file mapped for as long as it lives
        view = np.frombuffer(
            self._map, dtype=np.uint8, count=tensor.size_bytes, offset=tensor.offset
        )
        return torch.from_numpy(view)

    def _let_go_of_last(self) -> None:
        if self._read_last is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        start = self._read_last.offset // mmap.PAGESIZE * mmap.PAGESIZE
        end = self._read_last.offset + self._read_last.size_bytes
        self._map.madvise(mmap.MADV_DONTNEED, start, end - start)

    def _alignment(self, cursor: _Cursor) -> int:
        alignment = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise cursor.error(f"general.alignment is {alignment!r}, not a power of two")
        return alignment


class _Cursor:
    """A position in the mapped file that cannot leave it."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.size = len(data)
        self.offset = 0
        self.path = path

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.path.name}: {problem} (at byte {self.offset})", hint=HINT)

    def scalar(self, kind: struct.Struct) -> int | float | bool:
        end = self.offset + kind.size
        if end > self.size:
            raise self.error("the file ends inside its header")
        (value,) = kind.unpack_from(self.data, self.offset)
        self.offset = end
        return value

    def u32(self) -> int:
        return int(self.scalar(SCALARS[GGUFValueType.UINT32]))

    def u64(self) -> int:
        return int(self.scalar(SCALARS[GGUFValueType.UINT64]))

    def count(self, what: str, min_item_bytes: int) -> int:
        """A u64 count, refused where that many items cannot fit into the rest of the file."""
        value = self.u64()
        if value * min_item_bytes > self.size - self.offset:
            raise self.error(f"it claims {value} {what}, more than the file can hold")
        return value

    def string(self) -> str:
        length = self.count("bytes of text", 1)
        start, self.offset = self.offset, self.offset + length
        try:
            return self.data[start : self.offset].decode()
        except UnicodeDecodeError as exc:
            raise self.error("a text in the header is not UTF-8") from exc


def _map_file(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            # a private mapping: torch wants writable memory, and nothing may ever reach the file
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except ValueError as exc:
        raise CheckpointError(f"{path.name}: the file is empty", hint=HINT) from exc
    except OSError as exc:
        raise CheckpointError(f"cannot read {path}: {exc.strerror}", hint=HINT) from exc


def _read_header(cursor: _Cursor) -> tuple[int, int]:
    """Numbers of tensors and of metadata pairs."""
    if cursor.data[:4] != b"GGUF":
        raise cursor.error("not a GGUF file")
    cursor.offset = 4
    version = cursor.u32()
    if version not in SUPPORTED_VERSIONS:
        raise cursor.error(f"GGUF version {version} is not supported, only 2 and 3, little-endian")
    num_tensors = cursor.count("tensors", MIN_TENSOR_INFO_BYTES)
    return num_tensors, cursor.count("metadata entries", MIN_PAIR_BYTES)


def _read_pairs(cursor: _Cursor, num_pairs: int) -> dict[str, object]:
    metadata: dict[str, object] = {}
    for _ in range(num_pairs):
        key = cursor.string()
        if key in metadata:
            raise cursor.error(f"metadata key {key!r} occurs twice")
        metadata[key] = _read_value(cursor, cursor.u32(), depth=0)
    return metadata


def _read_value(cursor: _Cursor, value_type: int, *, depth: int) -> object:
    if value_type == GGUFValueType.STRING:
        return cursor.string()
    if value_type == GGUFValueType.ARRAY:
        return _read_array(cursor, depth=depth + 1)
    scalar = SCALARS.get(value_type)
    if scalar is None:
        raise cursor.error(f"unknown metadata type {value_type}")
    return cursor.scalar(scalar)


def _read_array(cursor: _Cursor, *, depth: int) -> list[object]:
    if depth > MAX_ARRAY_DEPTH:
        raise cursor.error("metadata arrays are nested too deeply")
    item_type = cursor.u32()
    scalar = SCALARS.get(item_type)
    count = cursor.count("array items", scalar.size if scalar else 8)
    if scalar is None:
        return [_read_value(cursor, item_type, depth=depth) for _ in range(count)]
    start, cursor.offset = cursor.offset, cursor.offset + count * scalar.size
    return [value for (value,) in scalar.iter_unpack(cursor.data[start : cursor.offset])]


def _read_tensor_infos(cursor: _Cursor, num_tensors: int, alignment: int) -> dict[str, GGUFTensor]:
    infos = [_read_tensor_info(cursor) for _ in range(num_tensors)]
    data_start = -(-cursor.offset // alignment) * alignment
    tensors: dict[str, GGUFTensor] = {}
    for info in infos:
        tensor = _place(cursor, info, data_start)
        if tensor.name in tensors:
            raise cursor.error(f"tensor {tensor.name!r} occurs twice")
        tensors[tensor.name] = tensor
    return tensors


def _read_tensor_info(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape (outermost first), type number, offset from the start of the data."""
    name = cursor.string()
    num_dims = cursor.u32()
    if not 1 <= num_dims <= MAX_DIMS:
        raise cursor.error(f"tensor {name!r} has {num_dims} dimensions")
    dims = [cursor.u64() for _ in range(num_dims)]
    if 0 in dims:
        raise cursor.error(f"tensor {name!r} is empty")
    return name, tuple(reversed(dims)), cursor.u32(), cursor.u64()


def _place(
    cursor: _Cursor, info: tuple[str, tuple[int, ...], int, int], data_start: int
) -> GGUFTensor:
    name, shape, type_number, offset = info
    try:
        tensor_type = GGMLQuantizationType(type_number)
    except ValueError as exc:
        raise cursor.error(f"tensor {name!r} has the unknown type {type_number}") from exc
    block_size, block_bytes = GGML_QUANT_SIZES[tensor_type]
    if shape[-1] % block_size:
        raise cursor.error(
            f"tensor {name!r}: rows of {shape[-1]} are no whole number of {tensor_type.name} blocks"
        )
    size_bytes = math.prod(shape) // block_size * block_bytes
    if data_start + offset + size_bytes > cursor.size:
        raise cursor.error(f"tensor {name!r} lies beyond the end of the file; it is cut off")
    return GGUFTensor(
        name=name,
        shape=shape,
        type=tensor_type,
        offset=data_start + offset,
        size_bytes=size_bytes,
    )
