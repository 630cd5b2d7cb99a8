import numpy as np
import pytest
from support.forge import little_memory
from support.recorded_gguf import BLOCKS

from gptcompare.checkpoints.formats import quantized_blocks
from gptcompare.checkpoints.formats.quantized_blocks import KINDS, dequantized


@pytest.mark.parametrize("name", KINDS)
class TestBlocks:
    def test_the_weights_are_those_of_ggml_bit_for_bit(self, name):
        blocks, weights = BLOCKS[f"{name} blocks"], BLOCKS[f"{name} weights"]
        ours = dequantized(KINDS[name], blocks)
        assert (ours.shape, ours.dtype) == (weights.shape, np.float32)
        assert ours.tobytes() == weights.tobytes()

    @pytest.mark.parametrize("portion", [1, 7, 39, 40, 41])
    def test_they_are_the_same_in_portions(self, name, portion, monkeypatch):
        monkeypatch.setattr(quantized_blocks, "PORTION", portion)
        assert dequantized(KINDS[name], BLOCKS[f"{name} blocks"]).tobytes() == BLOCKS[f"{name} weights"].tobytes()

    def test_any_bytes_become_numbers_without_a_warning(self, name):
        blocks = np.full((3, KINDS[name].n_bytes), 0xFF, np.uint8)  # scales that are not numbers
        blocks[1] = 0x7C  # infinite ones
        assert dequantized(KINDS[name], blocks).shape == (3, KINDS[name].n_weights)

    def test_what_is_needed_in_between_does_not_grow_with_the_tensor(self, name):
        kind = KINDS[name]
        blocks = np.zeros((4_000_000 // kind.n_weights, kind.n_bytes), np.uint8)
        with little_memory(16_000_000 + 90 * quantized_blocks.PORTION * 32):
            dequantized(kind, blocks)
