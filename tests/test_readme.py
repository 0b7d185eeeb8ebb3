"""What the README shows runs as it stands there, and the files it points to exist."""

import re
from pathlib import Path

import torch
import yaml
from torch import nn

import ncore
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.settings import TrainingSettings
from ncore.sweep import Recipe

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), ncore.NCPUnit(6, classes=3, widths=(8, 8, 8))

    def forward(self, x):
        return self.head(self.body(x))


def test_the_python_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model, images, labels = Net(), torch.randn(64, 5), torch.randint(3, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def train_and_validate(model):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        return float((model(images).argmax(1) == labels).float().mean())

    loop, number, pictures = blocks("python")
    names = {"model": model, "images": images, "labels": labels, "loss": nn.CrossEntropyLoss()}
    names |= {"train_and_validate": train_and_validate, "features": model.body(images).detach()}
    exec(loop, names)
    assert "my-net" in capsys.readouterr().out
    exec(number, names)
    assert names["graph"].beta_eff > 0
    exec(pictures, names)
    assert len(names["store"].runs()) == 1


def test_the_options_of_candidates_in_the_readme():
    written = re.findall(rf"`({'|'.join(CandidateSpec.ADDED)}): (\S+)`", TEXT)
    assert {name for name, _ in written} == CandidateSpec.ADDED.keys()
    for name, value in written:
        source = "embeddings:vectors.npz" if name == "id_column" else "lenet"
        CandidateSpec.parse({"source": source, name: yaml.safe_load(value)})


def test_the_recipe_of_the_readme():
    recipe, more = blocks("yaml")
    values = yaml.safe_load(recipe)
    assert len(Recipe.parse(values | yaml.safe_load(more)).jobs) == 8 * len(Recipe.parse(values).jobs)
    assert [CandidateSpec.parse(entry).name for entry in values["candidates"]][-1] == "mine"
    assert DatasetSpec.parse(values["datasets"][0]).train == 2000


def test_every_setting_of_training_is_in_the_table():
    rows = TEXT.partition("| setting of `training:` |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(TrainingSettings.model_fields)


def test_the_files_that_the_readme_points_to():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
    for room in re.findall(r"^\| `([\w/]+)` \|", TEXT.partition("## Where things are")[2], flags=re.MULTILINE):
        assert (ROOT / room).exists(), room
