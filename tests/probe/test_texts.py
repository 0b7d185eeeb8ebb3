"""Texts: from files to tokens, encoders with their own tokenizers, and training on them in all three modes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from ncore import open_store
from ncore.errors import InputError
from ncore.probe._content import digests_of
from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset
from ncore.probe.job import Job
from ncore.probe.modalities.base import TextShape
from ncore.probe.settings import RecordingSettings, TrainingSettings, UnitSettings
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.probe.sources.model_text import pooled
from ncore.probe.training import Examples, _alike_in_length, frozen_features
from ncore.store import create_store
from tests.probe.rows import WORDS, texts, written

VOCABULARY = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", *sorted({*" ".join(WORDS.values()).split(), "the", "a", "and"})]


@pytest.fixture(scope="session")
def encoder(transformers, tmp_path_factory):
    """A small BERT with random weights, and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("encoder")
    numbers = {word: at for at, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=24, model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def spec(tmp_path):
    written(texts(), tmp_path / "notes.csv")
    return DatasetSpec.parse({"source": f"text:{tmp_path / 'notes.csv'}"})


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_texts_are_the_same_in_every_kind_of_file(tmp_path, suffix):
    frame = texts()
    frame.loc[0, "text"] = "NA"  # which is a text, and no gap
    frame.loc[1, "text"] = 'a "quoted", text; of\ntwo lines é'
    first = load_dataset(f"text:{written(frame, tmp_path / 'first.csv')}")
    other = load_dataset(f"text:{written(frame, tmp_path / f'other.{suffix}')}")
    assert digests_of(first) == digests_of(other)
    assert first.class_names == ["hill", "sea", "town"]
    seen = {split.decode(row)[0] for split in other.splits.values() for row in range(len(split))}
    assert seen == set(frame["text"])


def test_sets_are_told_by_names_of_files(tmp_path):
    frame = texts()
    for name, part in {"train": frame[:140], "dev": frame[140:190], "test": frame[190:]}.items():
        written(part, tmp_path / f"notes-{name}.jsonl")
    data = load_dataset(f"text:{tmp_path}")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 140, "validation": 50, "test": 50}


def test_groups_stay_on_one_side(tmp_path):
    path = written(texts(), tmp_path / "notes.csv")
    data = load_dataset({"source": f"text:{path}", "group": "author", "id_column": "id"})
    frame = texts().set_index("id")
    sides = [set(frame.loc[split.ids, "author"]) for split in data.splits.values()]
    assert not sides[0] & sides[1] and not sides[1] & sides[2] and not sides[0] & sides[2]  # noqa: PT018


def test_the_same_text_is_on_one_side_only_and_near_copies_are_told(tmp_path):
    frame = texts()
    written(frame[:180], tmp_path / "notes-train.csv")
    test = frame[180:].copy()
    test.iloc[:3, 1] = frame["text"][:3].to_list()
    test.iloc[3:7, 1] = [f"  {text.upper()}!" for text in frame["text"][3:7]]
    written(test, tmp_path / "notes-test.csv")
    data = load_dataset(f"text:{tmp_path}")
    assert data.left_out == {"train": 3} or data.left_out.get("validation", 0) + data.left_out.get("train", 0) == 3
    assert any("texts" in said and "case, blanks or punctuation" in said for said in data.warnings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.assign(text=range(len(frame))), "holds numbers only"),
        (lambda frame: frame.assign(text=frame["text"].where(frame.index > 2, "  ")), "3 of the 240 texts"),
        (lambda frame: frame.assign(text=frame["text"].where(frame.index > 0, None)), "1 of the 240 texts"),
        (lambda frame: frame.rename(columns={"text": "words"}), "`text_column`"),
        (lambda frame: frame.drop(columns="label"), "`label_column`"),
        (lambda frame: frame.assign(label=np.linspace(0, 1, len(frame)).round(5)), "regression is not supported"),
        (lambda frame: frame.assign(label=np.arange(len(frame))), "regression"),
        (lambda frame: frame.assign(label=frame["label"].where(frame.index > 1, None)), "2 rows without a label"),
        (lambda frame: frame.assign(label="sea"), "only 1 class"),
        (lambda frame: frame[:0], "no rows"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_set_of_texts_is_refused_in_a_sentence(tmp_path, change, said, suffix):
    path = written(change(texts()), tmp_path / f"notes.{suffix}")
    with pytest.raises(InputError) as error:
        load_dataset(f"text:{path}")
    assert said in str(error.value) or (suffix == "parquet" and "holds int" in str(error.value))
    assert "\n" not in str(error.value)


def test_several_labels_a_text_are_refused(tmp_path):
    frame = texts().assign(label=[["sea", "hill"]] * 240)
    with pytest.raises(InputError, match="multi-label"):
        load_dataset(f"text:{written(frame, tmp_path / 'notes.parquet')}")


def test_what_takes_pictures_takes_no_texts(spec, tmp_path):
    for candidate in ("lenet", "dense", "timm:resnet18"):
        with pytest.raises(InputError, match="takes pictures, but the dataset holds texts"):
            load_candidate(candidate, shape=TextShape())


def features(encoder, data, **options):
    backbone = load_candidate({"source": f"hf:{encoder}", **options}, shape=data.shape)
    split = data.splits["train"]
    made = split.tensor(backbone.input)
    with torch.no_grad():
        return backbone, backbone.module(backbone.input.prepare(made))


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "last"])
@pytest.mark.parametrize("layers", ["last", "mean"])
def test_an_encoder_gives_what_transformers_gives(transformers, encoder, spec, pooling, layers):
    data = load_dataset(spec, train=40)
    _, ours = features(encoder, data, pooling=pooling, layers=layers)
    model = transformers.AutoModel.from_pretrained(encoder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    for row in range(40):
        told = tokenizer(data.splits["train"].decode(row)[0], truncation=True, max_length=24, return_tensors="pt")
        with torch.no_grad():
            states = model(**told, output_hidden_states=True).hidden_states
        own = states[-1][0] if layers == "last" else torch.stack(states[1:]).mean(0)[0]
        theirs = {"mean": own.mean(0), "max": own.amax(0), "cls": own[0], "last": own[-1]}[pooling]
        assert torch.allclose(ours[row], theirs, atol=1e-5)


def test_pooling_follows_what_lies_beside_the_model(encoder, spec, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(encoder, copy)
    data = load_dataset(spec, train=20)
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (copy / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9}))
    backbone, ours = features(copy, data)
    assert torch.equal(ours, features(encoder, data, pooling="cls", max_length=9)[1])
    assert backbone.input.summary["tokens"] == 9


@pytest.mark.parametrize(
    "written",
    [{"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, {"pooling_mode_weightedmean_tokens": True}],
)
def test_a_pooling_that_is_not_followed_is_said(encoder, spec, tmp_path, written):
    copy = tmp_path / "copy"
    shutil.copytree(encoder, copy)
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps(written))
    data = load_dataset(spec, train=20)
    backbone, ours = features(copy, data)
    assert torch.equal(ours, features(encoder, data, pooling="mean")[1])
    assert [next(iter(written)) in said and "is not followed" in said for said in backbone.warnings] == [True]


def test_texts_that_are_cut_are_counted_and_said(encoder, spec):
    data = load_dataset(spec)
    backbone = load_candidate({"source": f"hf:{encoder}", "max_length": 8}, shape=data.shape)
    made = data.splits["train"].tensor(backbone.input)
    assert made.shape[2] == 8
    lengths = [len(data.splits["train"].decode(row)[0].split()) for row in range(len(data.splits["train"]))]
    long = sum(length + 2 > 8 for length in lengths)
    assert backbone.input.summary["cut"] == {"train": long}
    assert data.splits["train"].warnings[0].startswith(f"{long} of the {len(lengths)} texts of train have more than 8")
    with pytest.raises(InputError, match="reads 24 tokens at most"):
        load_candidate({"source": f"hf:{encoder}", "max_length": 25}, shape=data.shape)


def test_the_two_texts_of_a_pair_are_told_apart(transformers, encoder, tmp_path):
    frame = texts().assign(other=lambda frame: frame["text"].to_numpy()[::-1])
    path = written(frame, tmp_path / "pairs.csv")
    data = load_dataset({"source": f"text:{path}", "text_column": ["text", "other"]}, train=20)
    _, ours = features(encoder, data)
    model = transformers.AutoModel.from_pretrained(encoder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    told = tokenizer(*data.splits["train"].decode(3), truncation=True, max_length=24, return_tensors="pt")
    with torch.no_grad():
        theirs = model(**told).last_hidden_state[0].mean(0)
    assert told["token_type_ids"].max() == 1
    assert torch.allclose(ours[3], theirs, atol=1e-5)


def test_a_tokenizer_without_padding_will_do(transformers, encoder, spec, tmp_path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "gpt")
    config = transformers.GPT2Config(vocab_size=len(VOCABULARY), n_embd=16, n_layer=2, n_head=2, n_positions=32)
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt")
    data = load_dataset(spec, train=20)
    backbone, ours = features(tmp_path / "gpt", data)
    made = data.splits["train"].tensor(backbone.input)
    with torch.no_grad():
        alone = torch.cat([backbone.module(backbone.input.prepare(made[[row]])) for row in range(20)])
    assert torch.allclose(ours, alone, atol=1e-5)


def test_a_folder_without_a_tokenizer_is_refused(transformers, encoder, tmp_path):
    transformers.AutoModel.from_pretrained(encoder).save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="tokenizer"):
        load_candidate(f"hf:{tmp_path / 'bare'}", shape=TextShape())


def test_padding_is_left_out_of_what_is_pooled():
    states = torch.randn(3, 5, 2, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    for row, length in enumerate((5, 2, 1)):
        own = states[row, :length]
        wanted = {"mean": own.mean(0), "max": own.amax(0), "cls": own[0], "last": own[-1]}
        for pooling, value in wanted.items():
            assert torch.allclose(pooled(states, mask, pooling)[row], value)


def test_batches_are_alike_in_length_and_hold_every_text_once():
    lengths = torch.from_numpy(np.random.default_rng(0).integers(1, 200, 1003))
    order = _alike_in_length(torch.randperm(1003), 16, lengths, torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(1003))
    spread = [float(lengths[batch].float().std()) for batch in order.split(16) if len(batch) == 16]
    assert np.mean(spread) < 0.2 * float(lengths.float().std())
    first = [int(lengths[batch].max()) for batch in order.split(16)]
    assert first != sorted(first)  # and come in any order


def test_features_come_in_the_order_of_the_texts(encoder, spec):
    data = load_dataset(spec, train=50)
    backbone, whole = features(encoder, data)
    split = data.splits["train"]
    made = split.tensor(backbone.input)
    lengths = backbone.input.lengths(made)
    assert len(set(lengths.tolist())) > 5
    examples = Examples(made, torch.from_numpy(split.labels), backbone.input.prepare, lengths)
    assert torch.allclose(frozen_features(backbone.module, examples, torch.device("cpu")).inputs, whole, atol=1e-5)


def run(tmp_path, spec, candidate, epochs=4, **training):
    job = Job(
        candidate=CandidateSpec.parse(candidate),
        dataset=spec,
        training=TrainingSettings(
            epochs=epochs, learning_rate=0.003, unit=UnitSettings(widths=(32, 16, 8)), **training
        ),
        recording=RecordingSettings(neurons=8),
    )
    store = create_store(tmp_path / "runs") if not (tmp_path / "runs").exists() else open_store(tmp_path / "runs")
    return store.run(job.run(store))


@pytest.mark.parametrize("mode", ["all", "backbone", "unit"])
@pytest.mark.parametrize("candidate", ["encoder", "words", "words-cnn"])
def test_all_modes_train_on_texts(tmp_path, encoder, spec, candidate, mode):
    source = f"hf:{encoder}" if candidate == "encoder" else {"source": candidate, "kwargs": {"vocabulary": 999}}
    found = run(tmp_path, spec, source, mode=mode)
    assert found.status == "finished"
    metrics = found.metrics()
    losses = metrics[(metrics["split"] == "train") & (metrics["name"] == "loss")]["value"]
    assert losses.iloc[-1] < losses.iloc[0]
    if mode == "all" and candidate != "encoder":
        accuracy = metrics[(metrics["split"] == "test") & (metrics["name"] == "accuracy")]["value"].iloc[-1]
        assert accuracy > 0.8
    assert found.manifest.info["input"]["tokens"] > 0
    assert found.manifest.costs["parameters"] > 0
    predictions = found.predictions(split="test")
    own = load_dataset(spec).splits["test"].labels
    assert (predictions["label"].to_numpy() == own).all()


def test_the_same_seed_gives_the_same_run(tmp_path, encoder, spec):
    runs = [run(tmp_path / str(at), spec, f"hf:{encoder}", mode="all", epochs=2) for at in range(2)]
    pd.testing.assert_frame_equal(*(own.metrics().drop(columns="seconds") for own in runs), check_exact=True)


def test_a_factory_brings_its_tokenizer(tmp_path, spec, monkeypatch):
    (tmp_path / "my_texts.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "class Letters:\n    vocabulary = 128\n\n    def __call__(self, texts):\n"
        "        return [[ord(one) % 128 for one in text] for text in texts]\n\n\n"
        "class Net(nn.Module):\n    tokenizer = Letters()\n\n    def __init__(self):\n        super().__init__()\n"
        "        self.table = nn.Embedding(129, 8, padding_idx=0)\n\n    def forward(self, tokens):\n"
        "        return self.table(tokens[:, 0].long()).sum(1)\n\n\ndef bare():\n    return nn.Linear(2, 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    backbone = load_candidate("python:my_texts:Net", shape=TextShape())
    assert backbone.feature_dim == 8
    with pytest.raises(InputError, match="has no `tokenizer`"):
        load_candidate("python:my_texts:bare", shape=TextShape())


def test_augmentation_is_for_pictures(tmp_path, spec):
    with pytest.raises(InputError, match="augment is true, but notes holds texts"):
        run(tmp_path, spec, "words", mode="all", augment=True)
