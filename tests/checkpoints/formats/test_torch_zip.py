import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import forge, places
from support.amounts import examples
from support.forge import assert_same_arrays, damaged, little_memory, named, program, push, state_dict, storage, tensor

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats import torch_zip
from gptcompare.checkpoints.formats.torch_zip import read_torch_zip

DATA = places.DATA / "torch-zip-gpt2"
NUMBERS = np.arange(6, dtype=np.float32)
TUPLES = [pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3]


def call(function, arguments):
    return function + arguments + pickle.REDUCE


def read(folder, pickled, storages=None, **changes):
    path = folder / "pytorch_model.bin"
    forge.torch_zip(path, pickled, {"0": NUMBERS.tobytes()} if storages is None else storages, **changes)
    return read_torch_zip(path)


class TestFileOfTorchInTheRepository:
    """Written by tests/data/make_torch_zip_checkpoint.py."""

    def test_is_read_bit_for_bit(self):
        with np.load(DATA / "expected.npz") as arrays:
            expected = {f"transformer.{name}": array for name, array in arrays.items() if "." in name}
        tensors = read_torch_zip(DATA / "pytorch_model.bin")
        assert_same_arrays({name: tensors[name] for name in expected}, expected)
        assert_same_arrays(
            {"lm_head.weight": tensors["lm_head.weight"]}, {"lm_head.weight": expected["transformer.wte.weight"]}
        )

    def test_gives_the_logits_of_transformers(self):
        with np.load(DATA / "expected.npz") as arrays:
            ids, expected = arrays["ids"], arrays["logits"]
        logits = gc.GPT.from_pretrained(DATA, dtype=np.float64)(ids)
        assert np.abs(logits - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.reference
class TestFilesOfTorch:
    def saved(self, torch, folder, state, **options):
        torch.save(state, folder / "pytorch_model.bin", **options)
        return read_torch_zip(folder / "pytorch_model.bin")

    def expected(self, torch, state):
        """What torch itself says is in the tensors."""
        tensors = {name: t.detach().contiguous() for name, t in state.items()}
        return {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
    @pytest.mark.parametrize("tied", [True, False])
    def test_state_dict_of_a_model(self, torch, transformers, tmp_path, dtype, tied):
        config = transformers.GPT2Config(
            vocab_size=40, n_positions=12, n_embd=8, n_layer=2, n_head=2, tie_word_embeddings=tied,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        state = transformers.GPT2LMHeadModel(config).to(getattr(torch, dtype)).state_dict()
        assert state._metadata  # the pickle has it too, as an attribute of the dict
        assert_same_arrays(self.saved(torch, tmp_path, state), self.expected(torch, state))

    def test_integers_and_truths(self, torch, tmp_path):
        dtypes = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
        state = {str(dtype): torch.tensor([[0, 1, 100]]).to(dtype) for dtype in dtypes}
        assert_same_arrays(self.saved(torch, tmp_path, state), self.expected(torch, state))

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_views_of_one_storage(self, torch, tmp_path, dtype):
        base = torch.randn(6, 8, dtype=getattr(torch, dtype))
        state = {
            "whole": base, "transposed": base.T, "rows": base[2:4], "columns": base[:, 3:5],
            "every other": base[1::2, ::3], "one number repeated": base[:1, :1].expand(3, 4),
            "scalar": base[3, 3], "empty": base[:0], "permuted": base.view(2, 3, 8).permute(2, 0, 1),
            "diagonal": base.diagonal(),
        }  # fmt: skip
        assert_same_arrays(self.saved(torch, tmp_path, state), self.expected(torch, state))

    def test_a_view_with_its_signs_turned_is_refused(self, torch, tmp_path):
        view = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
        assert view.is_neg()
        with pytest.raises(CheckpointError, match=r"data\.pkl has a view of a tensor with its signs turned"):
            self.saved(torch, tmp_path, {"w": view})
        state = {"w": view.clone()}
        assert_same_arrays(self.saved(torch, tmp_path, state), self.expected(torch, state))

    def test_parameters_with_and_without_gradients(self, torch, tmp_path):
        state = {
            "trained": torch.nn.Parameter(torch.randn(2, 3)),
            "frozen": torch.nn.Parameter(torch.randn(3), requires_grad=False),
            "tensor with gradients": torch.randn(4, requires_grad=True),
        }
        assert_same_arrays(self.saved(torch, tmp_path, state), self.expected(torch, state))

    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_every_pickle_protocol_that_torch_takes(self, torch, tmp_path, protocol):
        state = torch.nn.Linear(300, 2).state_dict()
        tensors = self.saved(torch, tmp_path, state, pickle_protocol=protocol)
        assert_same_arrays(tensors, self.expected(torch, state))

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_a_tensor_that_repeats_its_elements(self, torch, tmp_path, dtype):
        numbers = torch.randn(3, dtype=getattr(torch, dtype))
        state = {
            "rows": numbers.expand(1000, 3), "columns": numbers[:, None].expand(3, 1000),
            "one": numbers[1].expand(50, 2), "none": numbers.expand(0, 3),
            "windows": numbers.as_strided((2, 2), (1, 1)),
        }  # fmt: skip
        tensors = self.saved(torch, tmp_path, state)
        assert_same_arrays(tensors, self.expected(torch, state))
        assert_same_arrays(tensors, self.expected(torch, torch.load(tmp_path / "pytorch_model.bin")))
        before = tensors["rows"][1].copy()
        tensors["rows"][0] = tensors["rows"][0][::-1]
        assert np.array_equal(tensors["rows"][1], before)

    def test_a_tensor_of_more_memory_than_such_a_file_can_mean_is_refused(self, torch, tmp_path):
        with little_memory(), pytest.raises(CheckpointError, match="more than twice as large as the file"):
            self.saved(torch, tmp_path, {"x": torch.zeros(1).expand(10**12)})

    def test_the_layout_before_1_6_is_refused_with_the_way_to_convert_it(self, torch, tmp_path):
        with pytest.raises(CheckpointError, match=r"before 1\.6.* torch\.save\(torch\.load\(FILE"):
            self.saved(torch, tmp_path, {"x": torch.ones(2)}, _use_new_zipfile_serialization=False)

    @pytest.mark.parametrize("state", [[1, 2], {"epoch": 3}, {"model": {}}, 7], ids=str)
    def test_what_is_no_state_dict_is_refused(self, torch, tmp_path, state):
        with pytest.raises(CheckpointError):
            self.saved(torch, tmp_path, state)


class TestForgedFiles:
    """What the helpers of forge.py put together, unchanged, is read: the refusals below are of what each changes."""

    @pytest.mark.parametrize("padding", range(8))
    def test_storages_may_begin_at_any_byte(self, tmp_path, padding):
        tensors = read(tmp_path, state_dict({"x": tensor()}), padding=padding)
        assert_same_arrays(tensors, {"x": NUMBERS.reshape(2, 3)})

    def test_a_bfloat16_scalar_is_an_array(self, tmp_path):
        pickled = state_dict({"x": tensor(storage("BFloat16Storage", n_elements=1), shape=(), strides=())})
        assert_same_arrays(read(tmp_path, pickled, {"0": b"\x20\xc0"}), {"x": np.array(-2.5, np.float32)})

    def test_an_empty_tensor_keeps_its_type_and_shape(self, tmp_path):
        pickled = state_dict({"x": tensor(storage("HalfStorage", n_elements=0), shape=(0, 3))})
        assert_same_arrays(read(tmp_path, pickled, {"0": b""}), {"x": np.zeros((0, 3), np.float16)})

    def test_a_parameter_is_its_tensor(self, tmp_path):
        arguments = pickle.MARK + tensor() + pickle.NEWTRUE + push({}) + pickle.TUPLE
        pickled = state_dict({"x": call(named("torch._utils", "_rebuild_parameter"), arguments)})
        assert_same_arrays(read(tmp_path, pickled), {"x": NUMBERS.reshape(2, 3)})


ORDERED_DICT = named("collections", "OrderedDict")
# Other ways to make an object or to have a function called.
FORBIDDEN = {
    "NEWOBJ": ORDERED_DICT + pickle.EMPTY_TUPLE + pickle.NEWOBJ,
    "NEWOBJ_EX": ORDERED_DICT + pickle.EMPTY_TUPLE + pickle.EMPTY_DICT + pickle.NEWOBJ_EX,
    "EXT1": pickle.EXT1 + b"\1",
    "EXT2": pickle.EXT2 + b"\1\0",
    "EXT4": pickle.EXT4 + b"\1\0\0\0",
    "PERSID": pickle.PERSID + b"0\n",
    "NEXT_BUFFER": pickle.NEXT_BUFFER,
    "REDUCE of a text": call(push("os.system"), pickle.EMPTY_TUPLE),
    "REDUCE of a storage class": call(named("torch", "FloatStorage"), pickle.EMPTY_TUPLE),
    "REDUCE with arguments": call(ORDERED_DICT, push(([("x", 1)],))),
    "REDUCE of a tensor": call(tensor(), pickle.EMPTY_TUPLE),
    "BUILD of a tensor": tensor() + pickle.EMPTY_DICT + pickle.BUILD,
    "persistent id of another kind": push(("module", "os")) + pickle.BINPERSID,
    "storage of another class": storage().replace(b"torch\nFloatStorage", b"collections\nOrderedDict"),
}


class TestNothingIsRun:
    """A pickle may name any function and ask for a call of it. Ours is only ever refused."""

    def shell(self, folder):
        """The pickled argument of a command that makes a file, and the file."""
        sentinel = folder / "sentinel"
        return push(f"touch {sentinel}"), sentinel

    @pytest.mark.parametrize("way", ["GLOBAL", "STACK_GLOBAL", "INST", "OBJ"])
    def test_every_way_to_a_call_is_refused(self, tmp_path, way):
        command, sentinel = self.shell(tmp_path)
        arguments = pickle.MARK + command
        pickled = program(
            {
                "GLOBAL": call(named("os", "system"), arguments + pickle.TUPLE),
                "STACK_GLOBAL": call(push("os") + push("system") + pickle.STACK_GLOBAL, arguments + pickle.TUPLE),
                "INST": arguments + pickle.INST + b"os\nsystem\n",
                "OBJ": pickle.MARK + named("os", "system") + command + pickle.OBJ,
            }[way]
        )
        with pytest.raises(CheckpointError, match=r"os\.system|operation (INST|OBJ)"):
            read(tmp_path, pickled)
        assert not sentinel.exists()
        pickle.loads(pickled)  # the same bytes do run in Python's own machine
        assert sentinel.exists()

    @pytest.mark.parametrize("place", ["value", "name", "storage", "shape", "hooks", "attribute", "left on the stack"])
    def test_a_call_is_refused_wherever_it_stands(self, tmp_path, place):
        command, sentinel = self.shell(tmp_path)
        evil = call(named("os", "system"), command + pickle.TUPLE1)
        good = push("x") + tensor() + pickle.SETITEM
        pickled = {
            "value": program(pickle.EMPTY_DICT, push("x"), evil, pickle.SETITEM),
            "name": program(pickle.EMPTY_DICT, evil, tensor(), pickle.SETITEM),
            "storage": state_dict({"x": tensor(evil)}),
            "shape": state_dict({"x": tensor().replace(push((2, 3)), evil)}),
            "hooks": state_dict({"x": tensor().replace(pickle.EMPTY_TUPLE, command + pickle.TUPLE1).replace(
                b"collections\nOrderedDict", b"os\nsystem")}),
            "attribute": program(pickle.EMPTY_DICT, good, evil, pickle.BUILD),
            "left on the stack": program(evil, pickle.EMPTY_DICT, good),
        }[place]  # fmt: skip
        with pytest.raises(CheckpointError, match=r"'os\.system', which is not part of a tensor: refused"):
            read(tmp_path, pickled)
        assert not sentinel.exists()

    @pytest.mark.parametrize(
        "function",
        [
            "builtins eval", "builtins exec", "builtins getattr", "builtins __import__", "__builtin__ eval", "os execv",
            "posix system", "nt system", "subprocess Popen", "importlib import_module", "numpy load", "runpy run_path",
            "numpy.core.multiarray _reconstruct", "numpy dtype", "torch load", "torch.hub load", "torch.jit load",
            "torch.storage _load_from_bytes", "torch._utils _rebuild_tensor", "torch Tensor", "collections defaultdict",
            "torch.FloatStorage __new__", "torch FloatStorage.__init__", "collections OrderedDict.fromkeys",
            "gptcompare load", "operator attrgetter", "functools partial", "copyreg _reconstructor",
        ],
    )  # fmt: skip
    def test_no_function_but_those_of_tensors_can_be_named(self, tmp_path, function):
        with pytest.raises(CheckpointError, match="which is not part of a tensor: refused, nothing was run"):
            read(tmp_path, program(named(*function.split())))

    @pytest.mark.parametrize("what", FORBIDDEN)
    def test_no_object_can_be_made_but_dicts_and_tensors(self, tmp_path, what):
        with pytest.raises(CheckpointError):
            read(tmp_path, program(pickle.EMPTY_DICT, push("x"), FORBIDDEN[what], pickle.SETITEM))


def nested(depth, width=1):
    """A tuple of `width` times the same tuple, and so on: 2**depth leaves for width 2, in `depth` operations."""
    again = pickle.BINPUT + b"\0" + (pickle.BINGET + b"\0") * (width - 1) + TUPLES[width - 1]
    return pickle.EMPTY_TUPLE + again * depth


class TestNoFileAsksForMuchMemory:
    @pytest.mark.parametrize("bomb", [nested(70, width=2), nested(5_000)], ids=["2**70 leaves", "5,000 deep"])
    @pytest.mark.parametrize(
        "place", ["state", "value", "name", "storage", "function", "arguments", "shape", "module", "key"]
    )
    def test_nested_tuples(self, tmp_path, bomb, place):
        pickled = {
            "state": program(bomb),
            "value": program(pickle.EMPTY_DICT, push("x"), bomb, pickle.SETITEM),
            "name": program(pickle.EMPTY_DICT, bomb, tensor(), pickle.SETITEM),
            "storage": program(bomb, pickle.BINPERSID),
            "function": program(call(bomb, pickle.EMPTY_TUPLE)),
            "arguments": program(call(named("collections", "OrderedDict"), bomb)),
            "shape": state_dict({"x": tensor().replace(push((2, 3)), bomb)}),
            "module": program(bomb, push("system"), pickle.STACK_GLOBAL),
            "key": state_dict({"x": tensor(storage().replace(push("0"), bomb))}),
        }[place]
        with little_memory(), pytest.raises(CheckpointError):
            read(tmp_path, pickled)

    @pytest.mark.parametrize("padding", range(2))
    @pytest.mark.parametrize("kind", ["BFloat16Storage", "DoubleStorage"])
    def test_many_tensors_of_one_storage(self, tmp_path, kind, padding):
        width = {"BFloat16Storage": 2, "DoubleStorage": 8}[kind]
        whole = tensor(storage(kind, n_elements=1_000_000 // width), shape=(1_000_000 // width,), strides=(1,))
        pickled = state_dict({f"x{n}": whole for n in range(100)})
        with little_memory():
            tensors = read(tmp_path, pickled, {"0": bytes(1_000_000)}, padding=padding)
        assert len(tensors) == 100

    def test_a_tensor_of_a_trillion_times_one_number(self, tmp_path):
        pickled = state_dict({"x": tensor(shape=(10**6, 10**6), strides=(0, 0))})
        with little_memory(), pytest.raises(CheckpointError, match="tensors up to x are more than twice as large"):
            read(tmp_path, pickled)

    def test_many_tensors_of_a_million_times_one_number(self, tmp_path):
        pickled = state_dict({f"x{n}": tensor(shape=(10**3, 10**3), strides=(0, 0)) for n in range(100)})
        with little_memory(200_000_000), pytest.raises(CheckpointError, match="more than twice as large as the file"):
            read(tmp_path, pickled)

    def test_a_shape_beyond_memory_without_elements(self, tmp_path):
        pickled = state_dict({"x": tensor(shape=(2**40, 0, 2**40), strides=(1, 1, 1))})
        with little_memory(), pytest.raises(CheckpointError, match="x"):
            read(tmp_path, pickled)

    def test_a_number_in_the_memo_far_away(self, tmp_path):
        far = pickle.LONG_BINPUT + b"\xff\xff\xff\xff"
        with little_memory():
            assert read(tmp_path, program(pickle.EMPTY_DICT, far)) == {}


def misplaced(**changes):
    """An edit of the directory entry of storage 0."""

    def edit(infos):
        for name, value in changes.items():
            setattr(infos["data/0"], name, value)

    return edit


def same_place(infos):
    infos["data/0"].header_offset = infos["data/1"].header_offset


# What is done to the zip directory of a good file, and the refusal.
DAMAGED_ZIPS = {
    "two members of one name": (misplaced(filename="archive/data/1"), "data/1 occurs twice"),
    "two members in one place": (same_place, "overlap"),
    "compressed member": (misplaced(compress_type=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "member of an unknown method": (misplaced(compress_type=99), "compressed or encrypted"),
    "encrypted member": (misplaced(flag_bits=1), "compressed or encrypted"),
    "member that would grow": (misplaced(file_size=10**12), "compressed or encrypted"),
    "member of a terabyte": (misplaced(file_size=10**12, compress_size=10**12), "not where the directory says"),
    "member beyond the end": (misplaced(header_offset=10**6), "is outside the file"),
    "member far beyond the end": (misplaced(header_offset=2**62), "archive|zip"),
    "member in the middle of another": (misplaced(header_offset=40), "not where the directory says"),
    "no data.pkl": (lambda infos: setattr(infos["data.pkl"], "filename", "archive/data"), "no data.pkl"),
    "two of data.pkl": (misplaced(filename="other/data.pkl"), "no data.pkl"),
    "big-endian": (lambda infos: setattr(infos["padding"], "filename", "archive/byteorder"), "little-endian"),
}


class TestMalformed:
    TWO = state_dict({"x": tensor(), "y": tensor(storage(key="1"))})

    @pytest.mark.parametrize("what", DAMAGED_ZIPS)
    def test_zip_is_refused_with_the_reason(self, tmp_path, what):
        edit, reason = DAMAGED_ZIPS[what]
        with little_memory(), pytest.raises(CheckpointError, match=reason):
            read(tmp_path, self.TWO, {"0": bytes(24), "1": bytes(24)}, edit=edit)

    def test_a_compressed_file_is_refused(self, tmp_path):
        with pytest.raises(CheckpointError, match="compressed"):
            read(tmp_path, self.TWO, {"0": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED)

    @pytest.mark.parametrize("contents", [b"", b"PK\3\4", b"no zip at all", json.dumps({"x": 1}).encode()])
    def test_what_is_no_zip_is_refused(self, tmp_path, contents):
        (tmp_path / "pytorch_model.bin").write_bytes(contents)
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: "):
            read_torch_zip(tmp_path / "pytorch_model.bin")

    def test_the_layout_before_1_6_is_refused_with_the_way_to_convert_it(self, tmp_path):
        magic_number = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(pickle.dumps(magic_number, protocol=2) + pickle.dumps(1001, protocol=2))
        with pytest.raises(CheckpointError, match=r"before 1\.6.* torch\.save\(torch\.load\(FILE"):
            read_torch_zip(path)

    def test_every_truncation_is_refused(self, tmp_path):
        read(tmp_path, state_dict({"x": tensor()}))
        path = tmp_path / "pytorch_model.bin"
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(CheckpointError):
                read_torch_zip(path)

    def test_a_pickle_beyond_the_limit_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch_zip, "MAX_PICKLE", 10)
        with pytest.raises(CheckpointError, match="too large"):
            read(tmp_path, state_dict({"x": tensor()}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"shape": (2, 4)}, {"shape": (6, 2)}, {"offset": 1}, {"strides": (3, 2)}, {"strides": (4, 1)},
            {"offset": -1}, {"shape": (-2, -3)}, {"strides": (-3, 1)}, {"offset": 2**62}, {"strides": (2**62, 1)},
            {"shape": (2**62, 2**62)}, {"shape": (2,)}, {"shape": 6}, {"shape": [2, 3]}, {"shape": (2.0, 3.0)},
            {"shape": (True, 6)}, {"offset": 0.0}, {"shape": (1,) * 33, "strides": (1,) * 33},
            {"source": storage(n_elements=5)}, {"source": storage(n_elements=7)}, {"source": storage(n_elements=-6)},
            {"source": storage(n_elements="6")}, {"source": storage(n_elements=2**62)}, {"source": storage(key=0)},
            {"source": storage(key="1")}, {"source": storage(key="../data/0")}, {"source": storage("DoubleStorage")},
            {"source": push("0")},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_tensor_outside_its_storage_is_refused(self, tmp_path, changes):
        with little_memory(), pytest.raises(CheckpointError):
            read(tmp_path, state_dict({"x": tensor(**changes)}))

    @pytest.mark.parametrize(
        "pickled",
        [
            b"", pickle.PROTO + b"\2", program(), pickle.STOP * 2, program(pickle.MARK), program(pickle.APPENDS),
            program(pickle.BINGET + b"\0"), program(pickle.EMPTY_DICT, pickle.BUILD), program(pickle.EMPTY_LIST),
            program(pickle.EMPTY_DICT, pickle.MARK, push("x"), pickle.SETITEMS), program(pickle.EMPTY_DICT)[:-1],
            program(pickle.EMPTY_DICT, push(1), push(2), pickle.SETITEM), program(b"\xff"),
            program(push([]), push("x"), push("y"), pickle.SETITEM), state_dict({"x": push(3)}),
            state_dict({"x": push({"y": 1})}), program(b"X\xff\xff\xff\xffabc"),
        ],
    )  # fmt: skip
    def test_a_pickle_that_is_no_dict_of_tensors_is_refused(self, tmp_path, pickled):
        with little_memory(), pytest.raises(CheckpointError):
            read(tmp_path, pickled)


WORDS = st.sampled_from([-1, 0, 1, 2, 3, 4, 6, 7, 24, 2**31, 2**59, 2**60, 2**63, 2**64, 2**2000])
PLAIN = WORDS | st.none() | st.booleans() | st.floats() | st.text(max_size=2) | st.sampled_from(["0", "x", ()])
SIZES = st.lists(st.integers(0, 6), max_size=3).map(tuple) | st.lists(WORDS, max_size=3).map(tuple)
STORAGES = st.builds(
    storage,
    kind=st.sampled_from(["FloatStorage", "BFloat16Storage", "DoubleStorage", "BoolStorage", "Storage"]),
    key=st.sampled_from(["0", "0", "1", 0]),
    n_elements=st.sampled_from([3, 6, 12, 24]) | WORDS,
)
TENSORS = st.builds(
    tensor, source=STORAGES, offset=st.integers(0, 6) | WORDS, shape=SIZES, strides=SIZES
) | st.builds(
    lambda shape, offset: tensor(offset=offset, shape=shape, strides=tuple(np.cumprod((1, *shape))[:-1].tolist())),
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple), offset=st.integers(0, 3),
)  # fmt: skip
OPERATIONS = st.one_of(
    st.sampled_from(
        [
            pickle.MARK, pickle.EMPTY_DICT, pickle.EMPTY_LIST, pickle.EMPTY_TUPLE, *TUPLES, pickle.TUPLE, pickle.APPEND,
            pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS, pickle.STACK_GLOBAL, pickle.BINPERSID, pickle.REDUCE,
            pickle.BUILD, pickle.MEMOIZE, pickle.STOP, pickle.POP, pickle.DUP, pickle.NEWOBJ,
            named("torch", "HalfStorage"), named("torch._utils", "_rebuild_parameter"),
            named("collections", "OrderedDict"),
        ]
    ),
    st.builds(lambda code, n: code + bytes([n]), st.sampled_from([pickle.BINPUT, pickle.BINGET]), st.integers(0, 2)),
    PLAIN.map(push), STORAGES, TENSORS, st.binary(min_size=1, max_size=3),
)  # fmt: skip


class TestFuzzing:
    """Any file at all is either read or refused by a CheckpointError."""

    def read_or_refuse(self, tmp_path_factory, pickled, change=None):
        path = tmp_path_factory.getbasetemp() / "pytorch_model.bin"
        forge.torch_zip(path, pickled, {"0": NUMBERS.tobytes()})
        if change:
            path.write_bytes(change(path.read_bytes()))
        try:
            tensors = read_torch_zip(path)
        except CheckpointError:
            return
        for array in tensors.values():
            array.tobytes()

    @settings(max_examples=examples(800), derandomize=True, deadline=None, database=None)
    @given(data=st.data())
    def test_damaged_files(self, tmp_path_factory, data):
        self.read_or_refuse(tmp_path_factory, state_dict({"x": tensor()}), lambda good: data.draw(damaged(good)))

    @pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # in a text that pickletools reads
    @settings(max_examples=examples(600), derandomize=True, deadline=None, database=None)
    @given(pickled=damaged(state_dict({"x": tensor(), "y": tensor(shape=(3,), strides=(2,))})))
    def test_damaged_pickles(self, tmp_path_factory, pickled):
        self.read_or_refuse(tmp_path_factory, pickled)

    @settings(max_examples=examples(600), derandomize=True, deadline=None, database=None)
    @given(tensors=st.dictionaries(st.text(max_size=2), TENSORS, min_size=1, max_size=3))
    def test_forged_tensors(self, tmp_path_factory, tensors):
        self.read_or_refuse(tmp_path_factory, state_dict(tensors))

    @pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
    @settings(max_examples=examples(1000), derandomize=True, deadline=None, database=None)
    @given(operations=st.lists(OPERATIONS, max_size=12))
    def test_forged_programs(self, tmp_path_factory, operations):
        self.read_or_refuse(tmp_path_factory, program(pickle.EMPTY_DICT, *operations))
