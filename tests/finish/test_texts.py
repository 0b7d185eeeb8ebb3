"""A finished encoder of texts works without ncore, tokenizer and all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ncore.finish import finish
from ncore.probe.datasets import load_dataset
from ncore.sweep import LocalEngine, sweep
from ncore.sweep.recipe import Recipe
from tests.finish.conftest import ALONE

WORDS = {"cats": ["cat", "purr", "paw"], "dogs": ["dog", "bark", "bone"]}
FILLERS = ["the", "a", "loud", "small", "old", "again", "and", "then"]


def encoder(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *FILLERS, *(word for own in WORDS.values() for word in own)]
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]")
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=12, **sizes)).save_pretrained(folder)
    return f"hf:{folder}"


@pytest.mark.parametrize("kind", ["encoder", "words"])
def test_texts_from_a_sweep_to_a_process_without_ncore(tmp_path, kind):
    random = np.random.default_rng(0)
    rows = [
        {"text": " ".join(random.permutation([*random.choice(FILLERS, random.integers(1, 14)), random.choice(own)])),
         "label": name}
        for _ in range(60) for name, own in WORDS.items()
    ]  # fmt: skip
    pd.DataFrame(rows).drop_duplicates("text").to_csv(tmp_path / "pets.csv", index=False)
    recipe = Recipe.parse(
        {
            "candidates": [{"source": encoder(tmp_path / "bert") if kind == "encoder" else "words", "name": "bert"}],
            "datasets": [{"source": "text:pets.csv", "name": "pets"}],
            "training": {"mode": "all", "epochs": 2, "threads": 1},
            "recording": {"trajectories_every": 0, "line_graph_every": 0},
        },
        base=tmp_path,
    )
    (result,) = sweep(recipe.jobs, recipe.store_place, engine=LocalEngine(1))
    assert result.outcome == "finished", result.reason
    found = finish(recipe.store_place, "bert", to=tmp_path / "model", base=tmp_path)
    assert found.accuracy == found.recorded
    assert (found.loader, found.library) == ("program", "")
    both = finish(recipe.store_place, "bert", to=tmp_path / "both", base=tmp_path, with_validation=True)
    assert both.recorded is None

    test = load_dataset({"source": f"text:{tmp_path / 'pets.csv'}", "name": "pets"}).splits["test"]
    texts = [test.items[int(row)][0] for row in test.indices]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = ALONE.partition("files = ")[0] + (
        "texts = json.loads(Path(pictures).read_text())\n"
        "print(json.dumps([next(iter(one)) for one in load(folder)(texts)]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, found.folder, str(tmp_path / "texts.json")],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    names = load_dataset({"source": f"text:{tmp_path / 'pets.csv'}"}).class_names
    right = [names[label] == told for label, told in zip(test.labels, json.loads(ran.stdout), strict=True)]
    assert np.mean(right) == found.accuracy
