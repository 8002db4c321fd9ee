"""A rule runs once for all trainings of which it reads the same; what it finds is what it would find each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taorunner.catalog.load import load_network
from taorunner.errors import Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.rule_results import RuleResults
from taorunner.planning.checks.spec_view import HostVariables, SpecReader
from taorunner.planning.checks.training_facts import Fault, Rule, Training, together
from taorunner.project.experiments import Experiment
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import ProjectPaths
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import outline_of
from taorunner.specs.spec_file import SpecFile

SPEC = 'training_config {{\n  num_epochs: {epochs}\n  batch_size_per_gpu: {batch}\n  name: "$own/x"\n}}\n'


class Sweep:
    """Trainings of one spec with other numbers, and rules that note each run."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.results, self.memory, self.data, self.mounts = (
            RuleResults(),
            SpecMemory(),
            DatasetFacts(),
            Mounts.identity(),
        )
        self.contract = load_network("dssd").contract("train")

    def training(self, *, epochs: int = 8, batch: int = 4, dataset: str = "d", **own: object) -> Training:
        text = SPEC.format(epochs=epochs, batch=batch)
        outline = outline_of(text, "prototxt", self.memory)
        assert outline is not None
        experiment = Experiment("e", "dssd", dataset, vars=own)
        variables = HostVariables(ProjectPaths(Path("/w/projects/p")), experiment, 1)
        spec = SpecReader(SpecFile(Path("train.txt"), text), "prototxt", outline, variables, {}, self.mounts)
        return Training("dssd", self.contract, spec, None, 1, self.data)

    def messages(self, training: Training, *rules: Rule) -> list[str]:
        own = training.spec.variables._experiment.vars
        return [fault.message for fault in self.results.faults(training, own, rules)]

    def many_epochs(self, training: Training) -> Iterator[Fault]:
        self.runs.append("epochs")
        if training.epochs == 9:  # a property that is computed once for each training
            yield Fault(Severity.ERROR, "code", f"{training.epochs} epochs", "", "key")

    def few_images(self, training: Training) -> Iterator[Fault]:
        self.runs.append("batch")
        if training.epochs == 9 and training.spec.number("training_config.batch_size_per_gpu") == 5:
            yield Fault(Severity.ERROR, "code", "batch of 5", "", "key")

    def names(self, training: Training) -> Iterator[Fault]:
        self.runs.append("own")
        yield Fault(Severity.ERROR, "code", str(training.spec.values("training_config.name")), "", "key")

    def nothing(self, training: Training) -> Iterator[Fault]:
        self.runs.append("nothing")
        yield Fault(Severity.ERROR, "code", "always", "", "key")


def test_a_rule_runs_again_only_for_what_it_reads() -> None:
    sweep = Sweep()
    rules = (sweep.many_epochs, sweep.few_images, sweep.nothing)
    assert sweep.messages(sweep.training(), *rules) == ["always"]
    assert sweep.messages(sweep.training(), *rules) == ["always"]
    assert sweep.runs == ["epochs", "batch", "nothing"]
    assert sweep.messages(sweep.training(batch=5), *rules) == ["always"]
    assert sweep.runs == ["epochs", "batch", "nothing"]  # the second rule reads the batch after 9 epochs only
    assert sweep.messages(sweep.training(epochs=9), *rules) == ["9 epochs", "always"]
    assert sweep.runs[3:] == ["epochs", "batch"]
    assert sweep.messages(sweep.training(epochs=9, batch=5), *rules) == ["9 epochs", "batch of 5", "always"]
    assert sweep.runs[5:] == ["batch"]
    for epochs, batch, wanted in (
        (8, 4, []), (9, 4, ["9 epochs"]), (9, 5, ["9 epochs", "batch of 5"]), (8, 5, []), (9, 5, ["9 epochs", "batch of 5"]),
    ):  # fmt: skip
        assert sweep.messages(sweep.training(epochs=epochs, batch=batch), *rules) == [*wanted, "always"]


def test_a_result_with_a_variable_of_the_experiment_is_its_own() -> None:
    sweep = Sweep()
    assert sweep.messages(sweep.training(own="a"), sweep.names) == ["('a/x',)"]
    assert sweep.messages(sweep.training(own="b"), sweep.names) == ["('b/x',)"]
    assert sweep.messages(sweep.training(own="a"), sweep.names, sweep.nothing) == ["('a/x',)", "always"]
    assert sweep.messages(sweep.training(own="c"), sweep.names, sweep.nothing) == ["('c/x',)", "always"]
    assert sweep.runs == ["own", "own", "own", "nothing", "own"]


def test_rules_together_are_one_that_reads_what_each_of_them_reads() -> None:
    sweep = Sweep()
    both = together(sweep.many_epochs, sweep.few_images)
    for epochs, batch, wanted in (
        (8, 4, []), (9, 4, ["9 epochs"]), (9, 5, ["9 epochs", "batch of 5"]), (8, 5, []), (9, 5, ["9 epochs", "batch of 5"]),
    ):  # fmt: skip
        assert sweep.messages(sweep.training(epochs=epochs, batch=batch), both) == wanted
    assert sweep.runs == ["epochs", "batch"] * 4  # not for the last training, whose numbers are known
