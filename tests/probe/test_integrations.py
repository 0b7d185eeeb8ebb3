"""Recording inside trainings of plain PyTorch, Lightning and transformers: real ones, that stay what they were."""

import contextlib
import difflib
import importlib
import inspect
import shutil
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import ncore
from ncore.errors import InputError, MissingExtraError, StoreError, UnsupportedError
from ncore.probe.integrations._naming import read_places
from ncore.probe.integrations._session import Session
from ncore.store.metric_names import place_of

EPOCHS, CLASSES, SIZE = 3, 3, 8
NAMES = {"candidate": "tiny", "dataset": "stripes"}
EVERYTHING = {"neurons": None, "line_graph_every": 0}


def pictures(count, seed):
    """Bright stripes at one of three heights, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randn(count, 3, SIZE, SIZE, generator=generator)
    for row in range(2):
        images[torch.arange(count), :, 2 * labels + row] += 1
    return images, labels


TRAIN, VALIDATION = pictures(64, 1), pictures(32, 2)


class Network(nn.Module):
    """Has batch statistics and dropout, which a careless recorder would disturb."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 12), nn.BatchNorm1d(12), nn.Dropout(0.3))
        self.head = ncore.NCPUnit(12, CLASSES, widths=(10, 9, 8))

    def forward(self, x):
        return self.head(self.stem(x))


class BrokenError(Exception):
    """What the tests break a training with."""


@contextlib.contextmanager
def quiet():
    """Third-party trainers warn about their own affairs; ncore still must not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module=r"ncore(\.|$)")
        yield


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def metric(run, split, name):
    """A metric's values, epoch by epoch."""
    table = run.metrics()
    return table[(table["split"] == split) & (table["name"] == name)].set_index("epoch")["value"].to_dict()


def by_epoch(values, rel=1e-12):
    return {epoch: pytest.approx(value, rel=rel) for epoch, value in enumerate(values, start=1)}


def only_run(place):
    store = ncore.open_store(place)
    (run_id,) = store.run_ids()
    return store.run(run_id)


def same_tables(first, second, without=""):
    """All but a metric's and the clock's."""
    metrics = [run.metrics().drop(columns="seconds") for run in (first, second)]
    metrics = [table[table["name"] != without].reset_index(drop=True) for table in metrics]
    return metrics[0].equals(metrics[1]) and first.capacitance().equals(second.capacitance())


def unit_weights(run, epoch):
    return run.trajectory(epoch=epoch, columns=["weight"])["weight"].to_numpy()


def flat(unit):
    return torch.cat([layer.weight.detach().reshape(-1) for layer in unit if isinstance(layer, nn.Linear)]).numpy()


# Plain PyTorch


def measure(model, images, labels):
    with torch.no_grad():
        outputs = model.eval()(images)
    return float((outputs.argmax(1) == labels).float().mean()), float(nn.functional.cross_entropy(outputs, labels))


def loop(model, store):
    seen = []
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        model.train()
        for images, labels in DataLoader(TensorDataset(*TRAIN), batch_size=16, shuffle=True):
            optimizer.zero_grad()
            loss(model(images), labels).backward()
            optimizer.step()
        accuracy, mean_loss = measure(model, *VALIDATION)
        seen.append((accuracy, mean_loss))
    return seen


def recorded_loop(model, store):
    seen = []
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with ncore.Recorder(store, model, unit=model.head, probe=TRAIN, loss=loss,
                        candidate="tiny", dataset="stripes", epochs=EPOCHS) as recorder:  # fmt: skip
        for _ in range(EPOCHS):
            model.train()
            for images, labels in DataLoader(TensorDataset(*TRAIN), batch_size=16, shuffle=True):
                optimizer.zero_grad()
                loss(model(images), labels).backward()
                optimizer.step()
            accuracy, mean_loss = measure(model, *VALIDATION)
            seen.append((accuracy, mean_loss))
            recorder.record(validation={"accuracy": accuracy, "loss": mean_loss})
    return seen


def test_plain_pytorch_needs_five_lines_and_stays_the_same(tmp_path):
    plain, recorded = ([line.strip() for line in inspect.getsource(f).split("\n")[1:]] for f in (loop, recorded_loop))
    changes = [line for line in difflib.ndiff(plain, recorded) if line[0] in "+-"]
    assert all(line.startswith("+") for line in changes)
    assert len(changes) + len(["import ncore"]) <= 5

    results = []
    for train in (loop, recorded_loop):
        torch.manual_seed(0)
        model = Network()
        results.append((train(model, tmp_path), model.state_dict(), torch.get_rng_state()))
    (seen, weights, generator), (seen_recorded, weights_recorded, generator_recorded) = results
    assert seen == seen_recorded
    assert same(weights, weights_recorded)
    assert torch.equal(generator, generator_recorded)

    run = only_run(tmp_path)
    assert run.status == "finished"
    assert metric(run, "validation", "accuracy") == by_epoch(accuracy for accuracy, _ in seen)
    assert metric(run, "validation", "loss") == by_epoch(value for _, value in seen)


# Lightning


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"], scope="module")
def lightning(request):
    with quiet():
        return pytest.importorskip(request.param)


def lightning_run(lightning, place, callbacks, broken=None, max_epochs=EPOCHS, **options):
    """Train from the same seed, and return the module, which remembers what it logged."""

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = Network()
            self.seen = {"train_acc": [], "train_loss": [], "val_acc": [], "val_loss": []}
            self.hits, self.losses = 0, []

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, index):
            if broken is not None and (self.current_epoch, index) == (1, 2):
                raise broken
            outputs = self(batch[0])
            self.hits += int((outputs.argmax(1) == batch[1]).sum())
            loss = nn.functional.cross_entropy(outputs, batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            self.losses.append(float(loss.detach()))
            return loss

        def on_train_epoch_end(self):
            self.remember("train_acc", self.hits / len(TRAIN[0]))
            self.seen["train_loss"].append(np.mean(self.losses))
            self.hits, self.losses = 0, []

        def validation_step(self, batch, index):
            del index
            outputs = self(batch[0])
            accuracy = float((outputs.argmax(1) == batch[1]).float().mean())
            if not self.trainer.sanity_checking:
                self.remember("val_acc", accuracy)
                self.remember("val_loss", float(nn.functional.cross_entropy(outputs, batch[1])))

        def remember(self, name, value):
            self.seen[name].append(value)
            self.log(name, torch.tensor(value, dtype=torch.float64))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.01)

    with quiet():
        lightning.seed_everything(7, verbose=False)
        module = Module()
        trainer = lightning.Trainer(
            accelerator="cpu", max_epochs=max_epochs, callbacks=callbacks, default_root_dir=place, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
            **options,
        )  # fmt: skip
        train = DataLoader(TensorDataset(*TRAIN), batch_size=16, shuffle=True)
        trainer.fit(module, train, DataLoader(TensorDataset(*VALIDATION), batch_size=len(VALIDATION[0])))
    return module


def lightning_callback(store, **options):
    from ncore.probe.integrations.lightning import NcoreCallback

    options = {"unit": "network.head", "probe": TRAIN, "recording": EVERYTHING} | options
    return NcoreCallback(store, loss=nn.CrossEntropyLoss(), **NAMES, **options)


def test_lightning(lightning, tmp_path):
    callback = lightning_callback(tmp_path / "store")
    plain = lightning_run(lightning, tmp_path, [])
    module = lightning_run(lightning, tmp_path, [callback])
    assert same(plain.state_dict(), module.state_dict())
    assert plain.seen == module.seen

    store = ncore.open_store(tmp_path / "store")
    row = store.runs().iloc[0]
    assert (row["status"], row["seed"], row["epochs"], row["planned_epochs"]) == ("finished", 7, EPOCHS, EPOCHS)
    run = store.run(callback.run_id)
    assert metric(run, "train", "accuracy") == by_epoch(module.seen["train_acc"])
    assert metric(run, "train", "loss") == by_epoch(module.seen["train_loss"], rel=1e-6)
    assert metric(run, "validation", "accuracy") == by_epoch(module.seen["val_acc"])
    assert metric(run, "validation", "loss") == by_epoch(module.seen["val_loss"])
    assert len(run.metrics()) == 1 + 4 * EPOCHS  # LogME before training
    assert run.metrics().groupby("epoch")["step"].first().tolist() == [0, 4, 8, 12]
    np.testing.assert_array_equal(unit_weights(run, EPOCHS), flat(module.network.head))
    assert not np.array_equal(unit_weights(run, 0), unit_weights(run, 1))


def test_lightning_failure_in_the_middle_is_recorded(lightning, tmp_path):
    with pytest.raises(BrokenError):
        lightning_run(lightning, tmp_path, [lightning_callback(tmp_path)], BrokenError("a wire is loose"))
    run = only_run(tmp_path)
    assert (run.status, run.manifest.reason) == ("failed", "BrokenError: a wire is loose")
    assert run.epochs == [0, 1]


def test_lightning_ctrl_c_leaves_a_run_to_resume(lightning, tmp_path):
    import signal

    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):  # Lightning's own way to end
            lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a")], KeyboardInterrupt())
    finally:
        signal.signal(signal.SIGINT, handler)
    assert only_run(tmp_path / "a").status == "interrupted"
    with pytest.raises(StoreError, match="resume=True"):
        lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a")])
    with pytest.raises(StoreError, match=r"up to epoch 1.*after epoch 0.*skip.*replace.*refuse"):
        lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a", resume=True)])
    lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a", resume=True, when_recorded="skip")])
    lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "b")])
    resumed, undisturbed = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert resumed.status == "finished"
    assert same_tables(resumed, undisturbed)


def test_lightning_epochs_without_validation_have_no_stale_metrics(lightning, tmp_path):
    callback = lightning_callback(tmp_path, metrics={"val_acc": "validation/share"})
    module = lightning_run(lightning, tmp_path, [callback], check_val_every_n_epoch=2)
    run = only_run(tmp_path)
    assert run.epochs == [0, 1, 2, 3]
    assert metric(run, "validation", "share") == {2: module.seen["val_acc"][0]}
    assert metric(run, "validation", "accuracy") == {}
    assert list(metric(run, "train", "accuracy")) == [1, 2, 3]


def test_lightning_trial_is_not_recorded(lightning, tmp_path):
    lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "store")], fast_dev_run=True)
    assert not (tmp_path / "store").exists()


def test_lightning_records_in_the_first_process_only(lightning, tmp_path):
    options = {"devices": 2, "strategy": "ddp_fork"}
    lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "store")], **options)
    run = only_run(tmp_path / "store")
    assert (run.status, run.epochs) == ("finished", [0, 1, 2, 3])
    assert run.metrics()["step"].max() == 2 * EPOCHS  # each process takes half of the batches


# transformers


@pytest.fixture(scope="module")
def transformers():
    with quiet():
        library = pytest.importorskip("transformers")
        library.ResNetForImageClassification, library.Trainer  # noqa: B018  (imports are lazy)
        return library


class Rows(Dataset):
    """Pictures as transformers takes them; reading one may fail."""

    def __init__(self, pictures, broken=None):
        self.pictures, self.broken, self.reads = pictures, broken, 0

    def __len__(self):
        return len(self.pictures[1])

    def __getitem__(self, index):
        self.reads += 1
        if self.broken is not None and self.reads > 1.5 * len(self):
            broken, self.broken = self.broken, None
            raise broken
        return {"pixel_values": self.pictures[0][index], "labels": self.pictures[1][index]}


def transformers_run(transformers, place, callbacks, broken=None, evaluation=VALIDATION, checkpoint=None, **arguments):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=CLASSES
    )
    scores = iter(range(10, 0, -1))  # the first epoch is the best

    def measures(outcome):
        return {"accuracy": float((outcome.predictions.argmax(1) == outcome.label_ids).mean()), "score": next(scores)}

    arguments = {
        "num_train_epochs": EPOCHS, "per_device_train_batch_size": 16, "per_device_eval_batch_size": 32,
        "learning_rate": 0.01, "eval_strategy": "epoch", "logging_strategy": "epoch", "save_strategy": "no",
    } | arguments  # fmt: skip
    with quiet():
        transformers.set_seed(7)
        model = transformers.ResNetForImageClassification(config)
        model.classifier[1] = ncore.NCPUnit(12, CLASSES, widths=(10, 9, 8))
        trainer = transformers.Trainer(
            model,
            transformers.TrainingArguments(
                str(place), seed=7, use_cpu=True, report_to="none", disable_tqdm=True, **arguments
            ),
            train_dataset=Rows(TRAIN, broken),
            eval_dataset={name: Rows(rows) for name, rows in evaluation.items()}
            if isinstance(evaluation, dict)
            else Rows(evaluation),
            compute_metrics=measures,
            callbacks=callbacks,
        )
        trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def transformers_callback(store, **options):
    from ncore.probe.integrations.transformers import NcoreCallback

    options = {"unit": "classifier.1", "probe": TRAIN, "recording": EVERYTHING} | options
    return NcoreCallback(store, **NAMES, **options)


def logged(trainer, key):
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def test_transformers(transformers, tmp_path):
    callback = transformers_callback(tmp_path / "store")
    best = {"save_strategy": "best", "load_best_model_at_end": True, "metric_for_best_model": "score"}
    plain = transformers_run(transformers, tmp_path / "plain", [], **best)
    trainer = transformers_run(transformers, tmp_path / "recorded", [callback], **best)
    assert same(plain.model.state_dict(), trainer.model.state_dict())
    assert logged(plain, "eval_loss") == logged(trainer, "eval_loss")

    row = ncore.open_store(tmp_path / "store").runs().iloc[0]
    assert (row["status"], row["seed"], row["epochs"], row["planned_epochs"]) == ("finished", 7, EPOCHS, EPOCHS)
    run = only_run(tmp_path / "store")
    for split, name, key in (
        ("train", "loss", "loss"),
        ("train", "learning_rate", "learning_rate"),
        ("train", "gradient_norm", "grad_norm"),
        ("validation", "accuracy", "eval_accuracy"),
        ("validation", "loss", "eval_loss"),
        ("validation", "score", "eval_score"),
    ):
        assert metric(run, split, name) == by_epoch(logged(trainer, key))
    assert len(run.metrics()) == 1 + 6 * EPOCHS  # LogME before training
    assert run.metrics().groupby("epoch")["step"].first().tolist() == [0, 4, 8, 12]
    # The model at the end is the best one, the run's last epoch is the last one.
    np.testing.assert_array_equal(unit_weights(run, 1), flat(trainer.model.classifier[1]))
    assert not np.array_equal(unit_weights(run, EPOCHS), flat(trainer.model.classifier[1]))


def test_transformers_failure_in_the_middle_is_recorded(transformers, tmp_path):
    with pytest.raises(BrokenError), transformers_callback(tmp_path / "a") as callback:
        transformers_run(transformers, tmp_path, [callback], BrokenError("a wire is loose"))
    run = only_run(tmp_path / "a")
    assert (run.status, run.manifest.reason) == ("failed", "BrokenError: a wire is loose")
    assert run.epochs == [0, 1]


def ended(place):
    """The run, once it is closed by whoever does that."""
    until = time.monotonic() + 60
    while only_run(place).status == "running" and time.monotonic() < until:
        time.sleep(0.02)
    return only_run(place)


def test_transformers_run_fails_at_once_when_training_is_left(transformers, tmp_path):
    """Nobody tells the callback, which is still there, and the process goes on."""
    callback = transformers_callback(tmp_path / "a", resume=True, when_recorded="replace")
    with contextlib.suppress(BrokenError):
        transformers_run(transformers, tmp_path, [callback], BrokenError("a fuse"))
    run = ended(tmp_path / "a")
    assert (run.status, run.manifest.reason) == ("failed", "training was left before its end")
    assert run.epochs == [0, 1]
    transformers_run(transformers, tmp_path, [callback])  # and the same callback goes on
    transformers_run(transformers, tmp_path, [transformers_callback(tmp_path / "b")])
    again, undisturbed = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert again.status == "finished"
    assert same_tables(again, undisturbed)


def test_transformers_starts_over_by_itself_with_a_smaller_batch(transformers, tmp_path):
    callback = transformers_callback(tmp_path / "a")
    short = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    trainer = transformers_run(
        transformers, tmp_path, [callback], short, auto_find_batch_size=True, eval_strategy="no", num_train_epochs=2
    )
    run = only_run(tmp_path / "a")
    assert (run.status, run.epochs) == ("finished", [0, 1, 2])
    assert "replaced" in " ".join(run.manifest.warnings)
    assert trainer.state.train_batch_size < 16
    np.testing.assert_array_equal(unit_weights(run, 2), flat(trainer.model.classifier[1]))


def test_two_transformers_callbacks_are_two_runs(transformers, tmp_path):
    callbacks = [transformers_callback(tmp_path / name) for name in "ab"]
    transformers_run(transformers, tmp_path, callbacks)
    assert [only_run(tmp_path / name).status for name in "ab"] == ["finished"] * 2
    assert same_tables(only_run(tmp_path / "a"), only_run(tmp_path / "b"))


class Tokens(Dataset):
    """Texts as a language model takes them."""

    def __init__(self, count):
        generator = torch.Generator().manual_seed(4)
        self.ids = torch.randint(5, 20, (count, 6), generator=generator)
        self.mask = (torch.arange(6) < 3 + torch.arange(count)[:, None] % 4).long()
        self.labels = torch.randint(CLASSES, (count,), generator=generator)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "attention_mask": self.mask[index], "labels": self.labels[index]}


def test_transformers_of_several_inputs_by_name(transformers, tmp_path):
    texts = Tokens(32)
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    with quiet():
        config = transformers.BertConfig(vocab_size=20, num_labels=CLASSES, **sizes)
        model = transformers.BertForSequenceClassification(config)
        model.classifier = ncore.NCPUnit(12, CLASSES, widths=(10, 9, 8))
        arguments = transformers.TrainingArguments(
            str(tmp_path), num_train_epochs=1, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no"
        )
        probe = ({"input_ids": texts.ids, "attention_mask": texts.mask.numpy()}, texts.labels.numpy())
        callback = transformers_callback(tmp_path / "a", unit="classifier", probe=probe)
        transformers.Trainer(model, arguments, train_dataset=texts, callbacks=[callback]).train()
    run = only_run(tmp_path / "a")
    assert (run.status, run.epochs) == ("finished", [0, 1])
    np.testing.assert_array_equal(unit_weights(run, 1), flat(model.classifier))


def test_transformers_resumes_from_a_checkpoint(transformers, tmp_path):
    """Training goes back to the end of epoch 1, where its last checkpoint is."""
    place, store = tmp_path / "out", tmp_path / "store"
    with pytest.raises(BrokenError), transformers_callback(store) as callback:
        transformers_run(transformers, place, [callback], BrokenError("a fuse"), save_strategy="epoch")
    callback = transformers_callback(store, resume=True)
    transformers_run(transformers, place, [callback], save_strategy="epoch", checkpoint=True)
    transformers_run(transformers, place, [transformers_callback(tmp_path / "undisturbed")])
    resumed, undisturbed = only_run(store), only_run(tmp_path / "undisturbed")
    assert (resumed.status, resumed.epochs) == ("finished", [0, 1, 2, 3])
    assert same_tables(resumed, undisturbed, without="score")  # it counts evaluations of the process


def test_transformers_evaluation_by_steps_and_of_several_sets(transformers, tmp_path):
    callback = transformers_callback(tmp_path / "a", forward=lambda model, x: model(pixel_values=x))
    trainer = transformers_run(
        transformers, tmp_path, [callback], eval_strategy="steps", eval_steps=3, max_steps=10,
        evaluation={"validation": VALIDATION, "test": TRAIN},
    )  # fmt: skip
    run = only_run(tmp_path / "a")
    assert run.epochs == [0, 1, 2, 3]  # the last of them is half an epoch, as 10 steps are
    assert run.metrics()["step"].unique().tolist() == [0, 4, 8, 10]
    for split in ("validation", "test"):
        losses = logged(trainer, f"eval_{split}_loss")  # after 3, 6, 9 and 10 steps
        assert len(set(losses)) == 4
        assert metric(run, split, "loss") == by_epoch([losses[0], losses[1], losses[3]])


def test_transformers_records_in_the_first_process_only(transformers, tmp_path):
    callback = transformers_callback(tmp_path / "store")
    state = transformers.TrainerState(is_world_process_zero=False)
    callback.on_train_begin(transformers.TrainingArguments(str(tmp_path)), state, None, model=Network())
    callback.on_train_end(None, state, None)
    assert not (tmp_path / "store").exists()


# Trouble in recording


def delete_store(place):
    """A callback of any of the trainers, which deletes the store after the first epoch."""

    def gone(self, *args, **others):
        shutil.rmtree(place, ignore_errors=True)

    return {"on_train_epoch_end": gone, "on_epoch_end": gone}


def test_lightning_goes_on_without_its_store(lightning, tmp_path):
    plain = lightning_run(lightning, tmp_path, [])
    breaker = type("Breaker", (lightning.Callback,), delete_store(tmp_path / "a"))()
    module = lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a"), breaker])
    assert same(plain.state_dict(), module.state_dict())
    with pytest.raises(StoreError, match="deleted"):
        lightning_run(lightning, tmp_path, [lightning_callback(tmp_path / "a", on_error="raise"), breaker])


def test_transformers_goes_on_without_its_store(transformers, tmp_path):
    plain = transformers_run(transformers, tmp_path, [])
    breaker = type("Breaker", (transformers.TrainerCallback,), delete_store(tmp_path / "a"))()
    trainer = transformers_run(transformers, tmp_path, [transformers_callback(tmp_path / "a"), breaker])
    assert same(plain.model.state_dict(), trainer.model.state_dict())
    with pytest.raises(StoreError, match="deleted"):
        transformers_run(transformers, tmp_path, [transformers_callback(tmp_path / "a", on_error="raise"), breaker])


def test_transformers_goes_on_after_a_metric_that_is_no_accuracy(transformers, tmp_path):
    """What is recorded up to there stays, with the reason."""
    callback = transformers_callback(tmp_path / "a", metrics={"eval_score": "validation/accuracy"})
    plain, trainer = (transformers_run(transformers, tmp_path, those) for those in ([], [callback]))
    assert same(plain.model.state_dict(), trainer.model.state_dict())
    run = only_run(tmp_path / "a")
    assert (run.status, run.epochs) == ("interrupted", [0])
    assert "recording ended: The validation accuracy is 10.0, but a fraction" in run.manifest.reason


# What is refused


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_missing_libraries_are_named_with_the_install_line(monkeypatch, name):
    packages = {"lightning": ("lightning", "lightning.pytorch", "pytorch_lightning"), "transformers": ("transformers",)}
    for package in packages[name]:
        monkeypatch.setitem(sys.modules, package, None)
    module = f"ncore.probe.integrations.{name}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    extra = {"lightning": "lightning", "transformers": "hf"}[name]
    with pytest.raises(MissingExtraError, match=rf"pip install 'ncore\[{extra}\]'"):
        importlib.import_module(module)


def session(place, **options):
    unit = options.pop("unit", "head")
    return Session(place, unit, TRAIN, "tiny", "stripes", options)


def test_unit_as_a_module_and_a_training_that_is_given_up(tmp_path):
    model = Network()
    recording = session(tmp_path, unit=model.head)
    recording.begin(model, nn.CrossEntropyLoss(), 0, 2)
    assert recording.open
    recording.end()
    recording.end()
    assert not recording.open
    run = only_run(tmp_path)
    assert (run.status, run.epochs, run.manifest.planned_epochs) == ("interrupted", [0], 2)


def test_unit_that_the_model_does_not_have(tmp_path):
    with pytest.raises(InputError, match=r"'heat', but Network has no module .* head"):
        session(tmp_path, unit="heat").begin(Network(), nn.CrossEntropyLoss(), 0, None)
    with pytest.raises(InputError, match=r"no torch\.nn\.Sequential at all"):
        session(tmp_path, unit="head").begin(nn.Linear(2, 2), nn.CrossEntropyLoss(), 0, None)
    with pytest.raises(UnsupportedError, match="Linear"):
        session(tmp_path, unit="stem.1").begin(Network(), nn.CrossEntropyLoss(), 0, None)


def test_sharded_models_are_refused(tmp_path):
    model = Network()
    model.stem[1].weight = nn.Parameter(torch.empty(0))
    with pytest.raises(UnsupportedError, match=r"stem\.1\.weight.*DDP"):
        session(tmp_path).begin(model, nn.CrossEntropyLoss(), 0, None)


def test_options_and_places_are_checked_at_once(tmp_path):
    with pytest.raises(InputError, match=r"'recodring' is not an option.*recording"):
        session(tmp_path, recodring={})
    for place in ("accuracy", "holdout/accuracy", "test/"):
        with pytest.raises(InputError, match=place):
            session(tmp_path, metrics={"score": place})
    assert read_places({"score": "test/f1/macro"}) == {"score": ("test", "f1/macro")}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("val_accuracy", ("validation", "accuracy")),
        ("Val/Loss", ("validation", "loss")),
        ("valid.f1", ("validation", "f1")),
        ("val_MulticlassAccuracy", ("validation", "accuracy")),
        ("val_acc/dataloader_idx_0", ("validation", "accuracy")),
        ("val_acc/dataloader_idx_1", ("validation", "acc/dataloader_idx_1")),
        ("training-loss", ("train", "loss")),
        ("eval_loss", ("validation", "loss")),
        ("eval_train_accuracy", ("train", "accuracy")),
        ("loss", ("train", "loss")),
        ("grad_norm", ("train", "gradient_norm")),
        ("accuracy", None),
        ("value_loss", None),
        ("epoch", None),
        ("train_loss_step", None),
    ],
)
def test_names_of_metrics(key, place):
    assert place_of(key) == place
