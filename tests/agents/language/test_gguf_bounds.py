"""A GGUF file of a stranger's is refused before anything is made of what it claims."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest

from peripatos.agents.language.gguf_bounds import check_gguf
from peripatos.envs.errors import UserError


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(*entries: bytes, tensors: tuple[bytes, ...] = (), version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join((*entries, *tensors))


def tensor(*sides: int, offset: int = 0) -> bytes:
    return text("w") + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, 0, offset)


def entry(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def nested(depth: int) -> bytes:
    return struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "behind the end"),
        (b"GGML" + bytes(40), "does not begin"),
        (header(version=7), "version 7"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "tensors and"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "tensors and"),
        (header(entry("a", 8, struct.pack("<Q", 1 << 60))), "behind the end"),
        (header(entry("a", 9, struct.pack("<IQ", 8, 1 << 60))), "list of"),
        (header(entry("a", 9, struct.pack("<IQ", 10, 1 << 20))), "behind the end"),
        (header(entry("a", 9, nested(30))), "lists deep"),
        (header(entry("a", 77, b"")), "type 77"),
        (header(tensors=(tensor(1 << 20, 1 << 20),)), "numbers in"),
        (header(tensors=(tensor(1 << 62, 1 << 62),)), "numbers in"),
        (header(tensors=(tensor(*[1] * 9),)), "9 sides"),
        (header(tensors=(tensor(1, offset=1 << 50),)), "behind the end"),
        (header(entry("llama.block_count", 4, struct.pack("<I", 10**6)), tensors=(tensor(4),)), "block_count is"),
        (header(entry("llama.embedding_length", 10, struct.pack("<Q", 10**9)), tensors=(tensor(4),)), "at most 4"),
    ],
)
def test_a_header_that_claims_what_the_file_does_not_hold_is_refused_at_once(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    began = time.thread_time()
    with pytest.raises(UserError, match=message):
        check_gguf(tmp_path / "x.gguf")
    assert time.thread_time() - began < 1


def test_a_file_as_the_library_writes_it_is_accepted(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="the extra peripatos[gguf] is not installed")
    writer = gguf.GGUFWriter(str(tmp_path / "x.gguf"), "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(8)
    writer.add_token_list(["a", "b"])
    writer.add_array("llama.some", [1.5, 2.5])
    writer.add_tensor("token_embd.weight", np.zeros((2, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    check_gguf(tmp_path / "x.gguf")
