"""Folders as people have them: what transformers saves, adds to and leaves behind, and what their own programs write.

Each is made from one small model, and read as transformers reads it: the same ids, logits, greedy text and end.
"""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from support.places import ROOT

import gptcompare as gc

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

TEXT = "the cat sat on the mat, and the rat sat on the cat; 'tis said they're friends now, aren't they? " * 3
PROMPTS = [
    "the cat",
    "they're <|endoftext|>the",
    " mat,  on<pad>the",
    "<mask> the <mask>",
    "x<|user|> y é 日<|end|>the",
]
N_VOCAB = 300
END = N_VOCAB - 1  # <|endoftext|>


def config_of(transformers, **changes):
    fields = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 48, "vocab_size": N_VOCAB}
    ends = {"bos_token_id": END, "eos_token_id": END}
    return transformers.GPT2Config(**{**fields, **ends, **changes})


def randomised(model, torch):
    """The model with parameters that make its greedy text varied."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.3 + (parameter.dim() == 1) * 0.5)
    return model.eval()


@pytest.fixture(scope="module")
def original(torch, transformers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    randomised(transformers.GPT2LMHeadModel(config_of(transformers)), torch).save_pretrained(folder)
    tokenizer = gc.Tokenizer.train([TEXT], 285)
    ids = {token: id_ for id_, token in enumerate([*tokenizer.vocabulary.ids, *map("unused{}".format, range(16))])}
    ids["<|endoftext|>"] = ids.pop("unused15")
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "tokenizer_config.json").unlink()
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(path, **changes):
    values = json.loads(path.read_text()) if path.exists() else {}
    values |= changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value != "REMOVED"}))


def edit_tensors(folder, change):
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors = change(tensors) or tensors
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path, metadata={"format": "pt"})


def config(folder, **changes):
    edit(folder / "config.json", **changes)


def tokenizer_config(folder, **changes):
    edit(folder / "tokenizer_config.json", **changes)


def token(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False,
            "special": True, **flags}  # fmt: skip


def listed(folder, *tokens):
    """Give the vocabulary's unused tokens other names, and list them as added tokens, with the end of text."""
    ids = json.loads((folder / "vocab.json").read_text())
    entries = {str(END): token("<|endoftext|>")}
    for n, entry in enumerate(tokens):
        id_ = ids.pop(f"unused{n}")
        id_ = ids.setdefault(entry["content"], id_)
        entries[str(id_)] = entry
    (folder / "vocab.json").write_text(json.dumps(ids))
    tokenizer_config(folder, added_tokens_decoder=entries)


def saved_tokenizer(folder, transformers, change=None, cls="GPT2Tokenizer"):
    """Let transformers read the tokenizer, change and save it: tokenizer.json and its settings alone remain."""
    tokenizer = getattr(transformers, cls).from_pretrained(folder)
    if change:
        change(tokenizer)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    tokenizer.save_pretrained(folder)
    return tokenizer


def with_model(folder, transformers, torch, model, **options):
    (folder / "model.safetensors").unlink()
    ours = randomised(model, torch)
    ours.save_pretrained(folder, **options)


def resized(folder, transformers, torch, add):
    """A fine-tuned model for a chat: tokens are added, and the embedding is made larger for them."""
    tokenizer = saved_tokenizer(folder, transformers, add)
    model = transformers.GPT2LMHeadModel.from_pretrained(folder)
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)


def torch_saved(folder, torch, change):
    """The tensors in pytorch_model.bin, by torch.save."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    torch.save(change(tensors), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


NAMES = {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}


def renamed_fields(folder):
    values = json.loads((folder / "config.json").read_text())
    config(folder, **{new: values[old] for old, new in NAMES.items()}, **dict.fromkeys(NAMES, "REMOVED"))
    config(folder, max_position_embeddings=values["n_positions"], n_positions="REMOVED")


# What is done to the folder: name -> function of the folder, transformers and torch.
AS_TRANSFORMERS = {
    "as saved": lambda f, *_: None,
    "tokens beyond the model's": lambda f, *_: edit(f / "added_tokens.json", **{"<pad>": N_VOCAB}),
    "a token beyond it that is named": lambda f, *_: tokenizer_config(f, pad_token="<pad>"),
    "stored as its output alone": lambda f, *_: edit_tensors(
        f, lambda t: t.update({"lm_head.weight": t.pop("transformer.wte.weight")})
    ),
    "two heads": lambda f, t, torch: with_model(f, t, torch, t.GPT2DoubleHeadsModel(config_of(t, num_labels=1))),
    "a classifier's head": lambda f, t, torch: with_model(f, t, torch, t.GPT2ForSequenceClassification(config_of(t))),
    "no head, and no prefix": lambda f, t, torch: with_model(f, t, torch, t.GPT2Model(config_of(t))),
    "a value head and a counter": lambda f, *_: edit_tensors(
        f, lambda t: t.update({"v_head.summary.weight": np.ones((1, 16), "f"), "step": np.array(7)})
    ),
    "low-rank leftovers that are zero": lambda f, *_: edit_tensors(
        f, lambda t: t.update({"transformer.h.0.attn.c_attn.lora_A.weight": np.ones((4, 16), "f"),
                               "transformer.h.0.attn.c_attn.lora_B.weight": np.zeros((48, 4), "f")})
    ),
    "old masks": lambda f, *_: edit_tensors(
        f, lambda t: t.update({"transformer.h.1.attn.bias": np.ones((1, 1, 48, 48), "f"),
                               "transformer.h.1.attn.masked_bias": np.array(-1e4, "f")})
    ),
    "general names in config.json": lambda f, *_: renamed_fields(f),
    "an end in config.json": lambda f, *_: (config(f, eos_token_id=75), (f / "generation_config.json").unlink()),
    "several ends": lambda f, *_: edit(f / "generation_config.json", eos_token_id=[75, 262, END]),
    "generation_config.json wins": lambda f, *_: (config(f, eos_token_id=75),
                                                  edit(f / "generation_config.json", eos_token_id=262)),
    "no end": lambda f, *_: (config(f, eos_token_id=None), edit(f / "generation_config.json", eos_token_id=None)),
    "added tokens listed": lambda f, *_: listed(
        f, token("<|user|>"), token("<|end|>", special=False, normalized=True)
    ),
    "white space taken": lambda f, *_: listed(f, token("<mask>", lstrip=True), token("<pad>", rstrip=True)),
    "whole words only": lambda f, *_: listed(
        f, token("cat", single_word=True), token("sat", special=False, normalized=True, single_word=True)
    ),
    "a map of special tokens": lambda f, *_: edit(
        f / "special_tokens_map.json", mask_token=token("<mask>", lstrip=True), additional_special_tokens=["<|user|>"]
    ),
    "added in the vocabulary and named": lambda f, *_: (
        tokenizer_config(f, pad_token="<pad>", mask_token="<mask>"),
        edit(f / "added_tokens.json", **{"<mask>": N_VOCAB}),
    ),
    "additional special tokens": lambda f, *_: tokenizer_config(f, additional_special_tokens=["<|user|>", "<|end|>"]),
    "special tokens with tasks of their own": lambda f, *_: tokenizer_config(
        f, extra_special_tokens={"user_token": "<|user|>"}, stop_token="<|end|>"
    ),
    "an end that is named": lambda f, *_: tokenizer_config(f, eos_token="</s>", bos_token="<s>", unk_token="</s>"),
    "a beginning that is added": lambda f, *_: tokenizer_config(f, add_bos_token=True),
    "a vocabulary token without a merge": lambda f, *_: edit(f / "vocab.json", **{"unused0": "REMOVED", "Ġdog": 284}),
    "merges with Windows' line ends": lambda f, *_: (f / "merges.txt").write_bytes(
        (f / "merges.txt").read_bytes().replace(b"\n", b"\r\n")
    ),
    "tokenizer.json": lambda f, t, _: saved_tokenizer(f, t),
    "tokenizer.json, and the class that only reads it": lambda f, t, _: (
        saved_tokenizer(f, t), tokenizer_config(f, tokenizer_class="PreTrainedTokenizerFast")
    ),
    "tokens added and saved": lambda f, t, _: saved_tokenizer(
        f, t, lambda k: (k.add_special_tokens({"pad_token": "<pad>"}), k.add_tokens(["<|user|>", "<|end|>"]))
    ),
    "a chat's tokens, and larger embeddings": lambda f, t, torch: resized(
        f, t, torch, lambda k: k.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|end|>"]})
    ),
    "a padding token, and larger embeddings": lambda f, t, torch: resized(
        f, t, torch,
        lambda k: k.add_special_tokens({"pad_token": "<pad>", "mask_token": t.AddedToken("<mask>", lstrip=True)}),
    ),
    "torch.save": lambda f, t, torch: torch_saved(f, torch, dict),
    "shards": lambda f, t, torch: with_model(
        f, t, torch, t.GPT2LMHeadModel(config_of(t)), max_shard_size="20KB"
    ),
    "half precision": lambda f, t, torch: t.GPT2LMHeadModel.from_pretrained(f).half().save_pretrained(f),
    "bfloat16": lambda f, t, torch: t.GPT2LMHeadModel.from_pretrained(f).bfloat16().save_pretrained(f),
    "scores divided by the layer's number": lambda f, *_: config(f, scale_attn_by_inverse_layer_idx=True),
    "scores that are not scaled": lambda f, *_: config(f, scale_attn_weights=False),
    "both": lambda f, *_: config(f, scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True),
    "an output of its own": lambda f, t, torch: with_model(
        f, t, torch, t.GPT2LMHeadModel(config_of(t, tie_word_embeddings=False))
    ),
    "another width, activation and epsilon": lambda f, t, torch: with_model(
        f, t, torch, t.GPT2LMHeadModel(config_of(t, n_inner=24, activation_function="gelu", layer_norm_epsilon=1e-3))
    ),
    "GPT-Neo, with general names": lambda f, t, torch: (
        with_model(f, t, torch, t.GPTNeoForCausalLM(t.GPTNeoConfig(
            num_layers=2, num_heads=2, hidden_size=16, attention_types=[[["global", "local"], 1]], window_size=4,
            max_position_embeddings=48, vocab_size=N_VOCAB, bos_token_id=END, eos_token_id=END,
        ))),
        config(f, num_layers="REMOVED", num_hidden_layers=2, num_heads="REMOVED", num_attention_heads=2),
        edit_tensors(f, lambda tensors: tensors.update({"score.weight": np.ones((2, 16), "f")})),
    ),
    "OPT, with what old files have": lambda f, t, torch: (
        with_model(f, t, torch, t.OPTForCausalLM(t.OPTConfig(
            num_hidden_layers=2, num_attention_heads=2, hidden_size=16, ffn_dim=24, word_embed_proj_dim=16,
            max_position_embeddings=48, vocab_size=N_VOCAB, bos_token_id=END, eos_token_id=END,
        ))),
        edit_tensors(f, lambda tensors: tensors.update({"model.decoder.version": np.array([3.0], "f")})),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_TRANSFORMERS)
def test_a_folder_is_read_as_by_transformers(name, folder, transformers, torch):
    AS_TRANSFORMERS[name](folder, transformers, torch)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lm = gc.load(folder)
    whole = lm.allowing("all")
    n_rows = theirs.get_input_embeddings().weight.shape[0]
    for prompt in PROMPTS:
        expected = tokenizer(prompt)["input_ids"]
        front = [] if lm.tokenizer.bos_id is None else [lm.tokenizer.bos_id]
        assert front + lm.tokenizer.encode(prompt, "all") == expected, prompt
        if max(expected) >= n_rows:  # transformers fails with an index out of range
            with pytest.raises(ValueError, match=rf"has the id {max(expected)}, but the model has only {n_rows}"):
                whole.encode(prompt)
            continue
        with torch.no_grad():
            logits = theirs(torch.tensor([expected])).logits[0].numpy()
            written = theirs.generate(
                torch.tensor([expected]), attention_mask=torch.ones(1, len(expected)), max_new_tokens=12,
                do_sample=False, pad_token_id=0,
            )[0, len(expected) :].tolist()  # fmt: skip
        np.testing.assert_allclose(lm.model(expected), logits, rtol=2e-5, atol=2e-5 * np.abs(logits).max())
        completion = lm.generate(prompt, max_new_tokens=12, allowed_special="all")
        assert completion.ids + [completion.end_id] * (completion.end_id is not None) == written
    for id_ in range(len(tokenizer)):  # an added token with é is not decoded as itself there
        if id_ in lm.tokenizer._bytes_of and tokenizer.convert_ids_to_tokens(id_) is not None:
            assert lm.tokenizer.decode([id_]) == tokenizer.decode([id_], clean_up_tokenization_spaces=False)


PREFIXES = ["_orig_mod.", "module.", "model.", "base_model.model.", "module._orig_mod.", "student."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("nested", [None, "model", "module", "state_dict", "model_state_dict"])
def test_the_tensors_of_a_trainer_are_found(prefix, nested, folder, original, torch):
    expected = gc.GPT.from_pretrained(original)(list(range(9)))

    def change(tensors):
        named = {prefix + name: tensor for name, tensor in tensors.items()}
        optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.95)}]}
        return {nested: named, "optimizer": optimizer, "epoch": 3, "best": None, "done": False} if nested else named

    torch_saved(folder, torch, change)
    assert np.array_equal(gc.GPT.from_pretrained(folder)(list(range(9))), expected)


def bert(folder, transformers, torch):
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n")


def adapters(folder, transformers, torch):
    def change(tensors):
        weight = tensors.pop("transformer.h.0.attn.c_attn.weight")
        place = "transformer.h.0.attn.c_attn."
        return {f"base_model.model.{name}": tensor for name, tensor in tensors.items()} | {
            f"base_model.model.{place}base_layer.weight": weight,
            f"base_model.model.{place}lora_A.default.weight": np.ones((4, 16), "f"),
            f"base_model.model.{place}lora_B.default.weight": np.ones((48, 4), "f"),
        }

    edit_tensors(folder, change)


def foreign_json(folder, transformers, torch):
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"the": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))


REFUSED = {
    "BERT's vocabulary": (bert, "vocab.txt is another tokenizer's.*not byte-level BPE.*--tokenizer"),
    "BERT's class": (
        lambda f, *_: tokenizer_config(f, tokenizer_class="BertTokenizerFast"), "names the class 'BertTokenizerFast'"
    ),
    "the class in config.json": (
        lambda f, *_: config(f, tokenizer_class="BertTokenizer"), r"config\.json names the class 'BertTokenizer'"
    ),
    "a tokenizer of words": (foreign_json, r"tokenizer\.json: the model is 'WordLevel'"),
    "RoBERTa's class, which adds tokens": (
        lambda f, *_: tokenizer_config(f, tokenizer_class="RobertaTokenizer"), "names the class 'RobertaTokenizer'"
    ),
    "adapters": (adapters, "adapters that change the result.*lora_A.*merge them"),
    "another layer": (
        lambda f, *_: config(f, n_layer=1), r"parameters are not part of this model, among them h\.1\."
    ),
    "a layer too few": (lambda f, *_: config(f, n_layer=3), r"12 parameters are missing, among them h\.2\."),
    "two models": (
        lambda f, *_: edit_tensors(f, lambda t: {f"{m}.{n}": a for n, a in t.items() for m in ("student", "teacher")}),
        r"has several models, under the names 'student\.', 'teacher\.'",
    ),
    "two names that disagree": (lambda f, *_: config(f, hidden_size=32), "are two names of one number"),
    "cross-attention": (lambda f, *_: config(f, add_cross_attention=True), "add_cross_attention True is not supported"),
    "an end that is no id": (
        lambda f, *_: edit(f / "generation_config.json", eos_token_id="</s>"), "eos_token_id must be an id or a list"
    ),
    "a text before every text": (
        lambda f, *_: tokenizer_config(f, add_prefix_space=True), "add_prefix_space is not supported"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_give_another_result_is_refused_in_one_sentence(name, folder, transformers, torch):
    change, message = REFUSED[name]
    change(folder, transformers, torch)
    with pytest.raises(ValueError, match=message) as refusal:
        gc.load(folder)
    assert str(folder) in str(refusal.value)
    if "tokenizer" in str(refusal.value).lower():
        assert gc.load(folder, tokenizer=gc.Tokenizer.train([TEXT], 285)).tokenizer.n_vocab == 285


def test_a_checkpoint_of_lightning_is_refused_by_name(folder, torch):
    torch_saved(folder, torch, lambda t: {"pytorch-lightning_version": "2.5", "state_dict": t, "epoch": 1})
    with pytest.raises(gc.CheckpointError, match=r"a checkpoint of Lightning.*save the model by itself"):
        gc.load(folder)


def test_a_byte_that_the_vocabulary_lacks_is_refused_only_where_a_text_has_it(folder, transformers):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["unused0"], _ = vocabulary.pop("#"), vocabulary.pop("unused0")
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, "unused": 284}))
    lm, theirs = gc.load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert lm.encode("the cat") == theirs("the cat")["input_ids"]
    with pytest.raises(ValueError, match=r"has no token for byte 35, which is in ' #'"):
        lm.encode("the #cat")  # which becomes "the cat" in transformers


def test_the_empty_token_is_no_text(folder):
    edit(folder / "vocab.json", **{"unused0": "REMOVED", "": 284})
    assert gc.load(folder).tokenizer.decode([284]) == ""


def test_a_fine_tuned_tensorflow_folder_is_found_by_its_list(tmp_path):
    source = ROOT / "tests" / "data" / "tensorflow-gpt2"
    for path in source.iterdir():
        shutil.copy(path, tmp_path / path.name.replace("model.ckpt", "model-1000"))
    with pytest.raises(FileNotFoundError, match=r"hparams\.json but no weights: model\.ckpt\.index is missing"):
        gc.GPT.from_pretrained(tmp_path)
    expected = gc.GPT.from_pretrained(source)([1, 2, 3])
    for place in ("model-1000", "/home/someone/gpt-2/checkpoint/run1/model-1000", r"C:\\run1\\model-1000"):
        Path(tmp_path, "checkpoint").write_text(
            f'model_checkpoint_path: "{place}"\nall_model_checkpoint_paths: "model-900"\n'
        )
        assert np.array_equal(gc.GPT.from_pretrained(tmp_path)([1, 2, 3]), expected)
    Path(tmp_path, "checkpoint").write_text('model_checkpoint_path: "model-2000"\n')
    with pytest.raises(FileNotFoundError, match=r"model-2000\.index is missing"):
        gc.GPT.from_pretrained(tmp_path)
    Path(tmp_path, "checkpoint").write_text("nothing")
    with pytest.raises(gc.CheckpointError, match="names no model_checkpoint_path"):
        gc.GPT.from_pretrained(tmp_path)
