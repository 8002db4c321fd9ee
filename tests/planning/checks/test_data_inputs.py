"""What a spec names of its data is looked for before a start, and in ``validate``."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_layouts import put_data
from filled_in import fill_in

import taorunner.planning.checks.paths.data_inputs as data_inputs
from taorunner.embedded.tfrecord import write_records
from taorunner.errors import Finding
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
OWN_CODES = ("missing-input", "wrong-input", "empty-input", "empty-dataset", "not-mounted", "relative-path")
VAL = "val/annotations.json"


class Desk:
    """A workspace with the project ``p`` of ``head``, its experiment ``e`` and data as the catalog puts it."""

    def __init__(self, root: Path, head: str) -> None:
        self.root, self.workspace = root, Workspace(root)
        self.project = root / "projects" / "p"
        new_project(
            root, root, "p", head=head, backbone=None, experiment="e", dataset="set/train", use_weights=False
        )
        fill_in(root / "projects/p")
        self.data = self.project / "data" / "set" / "train"
        put_data(head, self.data)

    def edit(self, old: str, new: str, file: str = "specs/e/train.yaml") -> None:
        text = (self.project / file).read_text()
        assert text.count(old) >= 1
        (self.project / file).write_text(text.replace(old, new))

    def shown(self, findings: list[Finding]) -> list[tuple[str, int | None, str, str | None]]:
        """Severity and code, line, message and hint of what this check says; paths from the dataset."""
        return [
            (f"{f.severity.value} {f.code}", f.line, f.message.replace("data/set/train/", ""), f.hint)
            for f in findings
            if f.code in OWN_CODES
        ]

    def validated(self) -> list[tuple[str, int | None, str, str | None]]:
        return self.shown(validate_projects(self.workspace, ["p"], {"HOME": "/nowhere"}))

    def launched(self, action: str, **asked: object) -> list[tuple[str, int | None, str, str | None]]:
        request = ActionRequest(action, ("e",), **asked)  # type: ignore[arg-type]
        return self.shown(list(plan_action(self.workspace, "p", request, CALLER).findings))

    def line_of(self, text: str, file: str = "specs/e/train.yaml") -> int:
        lines = (self.project / file).read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], Desk]:
    return lambda head: Desk(tmp_path / "ws", head)


Make = Callable[[str], Desk]


def test_experiments_over_one_dataset_share_what_is_found(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk("dssd")
    text = (made.project / "experiments.yml").read_text()
    (made.project / "experiments.yml").write_text(
        text + "".join(f"  e{number}: {{extends: e}}\n" for number in range(9))
    )
    looked: list[str] = []
    missing_inputs = data_inputs.missing_inputs

    def counted(layout: Any, contract: Any, *rest: Any) -> Any:
        looked.append(contract.action)
        return missing_inputs(layout, contract, *rest)

    monkeypatch.setattr(data_inputs, "missing_inputs", counted)
    assert made.validated() == []
    assert looked.count("train") == 1


def test_what_is_there_is_no_finding(desk: Make) -> None:
    made = desk("rtdetr")
    assert made.validated() == made.launched("train") == []


def test_a_file_that_does_not_exist_is_an_error_at_its_line_with_the_nearest_name(desk: Make) -> None:
    made = desk("rtdetr")
    (made.data / VAL).rename(made.data / "val/annotation.json")
    line = made.line_of(f"$dataset_raw/{VAL}")
    wanted = (
        "error missing-input",
        line,
        f"no such file: {VAL}",
        "did you mean $dataset_raw/val/annotation.json?",
    )
    assert made.validated() == made.launched("train") == [wanted]


def test_a_folder_above_may_be_the_one_with_another_name(desk: Make) -> None:
    made = desk("rtdetr")
    made.edit("$dataset_raw/val/images", "$dataset_raw/vall/images")
    assert [hint for *_, hint in made.launched("train")] == ["did you mean $dataset_raw/val/images?"]
    shutil.rmtree(made.data / "val/images")
    ((_, _, _, hint),) = made.launched("train")
    assert hint is not None and hint.startswith("what belongs there")


def test_without_a_near_name_the_hint_says_what_belongs_there(desk: Make) -> None:
    made = desk("rtdetr")
    shutil.rmtree(made.data / "val")
    assert made.launched("train") == [
        ("error missing-input", made.line_of("image_dir: $dataset_raw/val"), "no such folder: val/images",
         'what belongs there: images that validate; or correct "dataset.val_data_sources.image_dir"'),
        ("error missing-input", made.line_of("json_file: $dataset_raw/val"), f"no such file: {VAL}",
         'what belongs there: their COCO JSON; or correct "dataset.val_data_sources.json_file"'),
    ]  # fmt: skip
    assert made.validated() == made.launched("train")  # evaluation reads the same: said once


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda path: (path.unlink(), path.mkdir(), (path / "x").touch()), "wrong-input", "is a folder, and a file belongs there"),
        (lambda path: path.write_text(""), "empty-input", "is empty"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind(change: Callable[[Path], object], code: str, said: str, desk: Make) -> None:
    made = desk("rtdetr")
    change(made.data / VAL)
    ((found, _, message, _),) = made.launched("train")
    assert (found, message) == (f"error {code}", f"{VAL} {said}")


def test_a_folder_that_is_empty_or_a_file(desk: Make) -> None:
    made = desk("rtdetr")
    for part, is_file in (("train", False), ("val", True)):
        shutil.rmtree(made.data / part / "images")
        if is_file:
            (made.data / part / "images").write_text("x")
        else:
            (made.data / part / "images").mkdir()
    assert [(code, message) for code, _, message, _ in made.launched("train")] == [
        ("error empty-input", "train/images is empty"),
        ("error wrong-input", "val/images is a file, and a folder belongs there"),
    ]


@pytest.mark.parametrize("head", ["rtdetr", "segformer", "ocrnet", "lprnet", "detectnet_v2", "ssd"])
def test_an_empty_dataset_is_one_error(head: str, desk: Make) -> None:
    made = desk(head)
    shutil.rmtree(made.data)
    (made.data / "folder").mkdir(parents=True)
    for findings in (made.validated(), made.launched("train")):
        ((code, line, message, hint),) = findings
        assert (code, message) == ("error empty-dataset", "the dataset is empty: data/set/train")
        assert line is not None and hint == f'"taorunner networks {head}" says what to put where'


@pytest.mark.parametrize("head", ["tinydet", "efficientdet_tf2"])
def test_an_empty_dataset_of_records_is_the_error_of_the_conversion(head: str, desk: Make) -> None:
    made = desk(head)
    shutil.rmtree(made.data)
    made.data.mkdir()
    for findings in (made.validated(), made.launched("dataset_convert")):
        assert [(code, message) for code, _, message, _ in findings] == [
            ("error empty-dataset", "the dataset is empty: data/set/train")
        ]


def test_a_dataset_that_does_not_exist_is_reported_elsewhere(desk: Make) -> None:
    made = desk("rtdetr")
    shutil.rmtree(made.data)
    assert made.validated() == made.launched("train") == []
    found = validate_projects(made.workspace, ["p"], {"HOME": "/nowhere"})
    assert [finding.code for finding in found] == ["missing-dataset"]


def test_what_only_other_actions_read_is_a_warning_and_their_own_error(desk: Make) -> None:
    made = desk("rtdetr")
    (made.data / "train/label_map_from_0.txt").unlink()
    line = made.line_of("classmap:")
    wanted = ("no such file: train/label_map_from_0.txt", "did you mean $dataset_raw/train/label_map.txt?")
    (made.data / "train/label_map.txt").write_text("car\n")
    assert made.validated() == [
        ("warning missing-input", line, f"{wanted[0]} (inference reads it)", wanted[1])
    ]
    assert made.launched("train") == []
    results = made.project / "models/e/train"
    results.mkdir(parents=True)
    (results / "model_epoch_003.pth").write_bytes(b"x")
    assert made.launched("inference") == [("error missing-input", line, *wanted)]
    assert made.launched("evaluate") == []


def test_values_of_the_command_line_of_overrides_and_of_vars_count(desk: Make) -> None:
    made = desk("rtdetr")
    gone = "/workspace/projects/p/data/set/train/gone.json"
    key = "dataset.val_data_sources.json_file"
    ((code, _, message, _),) = made.launched("train", overrides={key: gone})
    assert code == "error missing-input"
    assert message == f"{key} of the command line: no such file: gone.json"
    made.edit("head: rtdetr", f"head: rtdetr\n    overrides: {{{key}: {gone}}}", "experiments.yml")
    ((_, line, message, _),) = made.validated()
    assert (line, message) == (made.line_of("overrides:", "experiments.yml"), "no such file: gone.json")
    made.edit(f"\n    overrides: {{{key}: {gone}}}", "", "experiments.yml")
    made.edit("      num_classes: 4", "      part: nowhere\n      num_classes: 4", "experiments.yml")
    made.edit(f"$dataset_raw/{VAL}", "$dataset_raw/$part.json")
    assert [message for _, _, message, _ in made.launched("train")] == ["no such file: nowhere.json"]


def test_a_path_that_no_mount_has_is_an_error(desk: Make) -> None:
    made = desk("rtdetr")
    made.edit(f"$dataset_raw/{VAL}", "/somewhere/on/this/host.json")
    for findings in (made.validated(), made.launched("train")):
        ((code, _, message, _),) = [one for one in findings if one[0].startswith("error")]
        said = 'no mount covers "/somewhere/on/this/host.json": the container does not have it'
        assert (code, message) == ("error not-mounted", said)
    made.edit("/somewhere/on/this/host.json", "/opt/of/the/image.json")
    assert made.launched("train") == []


def test_a_pattern_needs_one_file(desk: Make) -> None:
    made = desk("dino")
    made.edit("$dataset_raw/train/annotations.json", "$dataset_raw/train/anno*.json")
    assert made.launched("train") == []
    made.edit("$dataset_raw/train/anno*.json", "$dataset_raw/train/shard*.json")
    assert [(code, message) for code, _, message, _ in made.launched("train")] == [
        ("error missing-input", "no file fits train/shard*.json")
    ]


def test_a_name_without_a_suffix_stands_for_files_that_begin_with_it(desk: Make) -> None:
    made = desk("dino")
    (made.data / "train/annotations.json").rename(made.data / "train/shard-00000-of-00001.json")
    made.edit("$dataset_raw/train/annotations.json", "$dataset_raw/train/shard")
    assert made.launched("train") == []
    made.edit("$dataset_raw/train/shard", "$dataset_raw/train/piece")
    assert [message for _, _, message, _ in made.launched("train")] == ["no such file: train/piece"]


def test_what_the_caller_may_not_read_is_not_judged(desk: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container may run as another user. Root may read everything, so the refusal is a stand-in."""
    made = desk("rtdetr")
    shutil.rmtree(made.data / "val")
    real = os.stat

    def stat(path: Any, **more: Any) -> os.stat_result:
        if "/val/" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **more)

    monkeypatch.setattr(os, "stat", stat)
    assert made.validated() == []


def test_a_conversion_whose_records_are_there_is_a_warning(desk: Make) -> None:
    made = desk("ssd")
    made.edit("$dataset_raw", "$dataset_raw/nothing", "specs/e/convert.txt")
    assert {one[:3:2] for one in made.validated()} == {("error missing-input", "no such folder: nothing")}
    records = made.project / "data/tfrecords_e"
    records.mkdir()
    write_records(records / "tfrecord-fold-000-of-001", [b"x"])
    assert {one[:3:2] for one in made.validated()} == {("warning missing-input", "no such folder: nothing")}
    found = {one[:3:2] for one in made.launched("dataset_convert")}
    assert found == {("error missing-input", "no such folder: nothing")}


def test_a_list_points_at_the_value_that_is_missing(desk: Make) -> None:
    made = desk("rtdetr")
    made.edit("[$dataset_raw/val/images]", "[$dataset_raw/val/images, $dataset_raw/more]")
    ((_, line, message, _),) = made.validated()
    assert message == "no such folder: more (inference reads it)"
    assert line == made.line_of("$dataset_raw/more")


def test_a_network_of_the_workspace_reads_what_the_one_it_is_like_reads(desk: Make) -> None:
    made = desk("rtdetr")
    (made.root / "networks").mkdir()
    (made.root / "networks/mine.yml").write_text("like: rtdetr\n")
    made.edit("head: rtdetr", "head: mine", "experiments.yml")
    (made.data / VAL).unlink()
    assert [message for _, _, message, _ in made.validated()] == [f"no such file: {VAL}"]


def test_experiments_of_different_datasets_are_each_held_against_their_own(desk: Make) -> None:
    made = desk("rtdetr")
    shutil.copytree(made.data, made.project / "data/other")
    (made.project / "data/other" / VAL).unlink()
    made.edit(
        "  # A variation", "  f:\n    extends: e\n    dataset: other\n\n  # A variation", "experiments.yml"
    )
    assert [message for _, _, message, _ in made.validated()] == [f"no such file: data/other/{VAL}"]


COLOURS = "color_map: {car: green, cyclist: orange, pedestrian: blue}"


@pytest.mark.parametrize(
    ("colours", "names", "left"),
    [
        (COLOURS, ("car", "pedestrian"), None),
        (COLOURS, ("car", "tram", "van"), "tram, van"),
        ("color_map: {a b: red}", ("a b",), None),
        ("conf_threshold: 0.5", ("van",), None),  # without any: those of COCO
    ],
)
def test_classes_without_a_colour_get_no_box_at_inference(
    colours: str, names: tuple[str, ...], left: str | None, desk: Make
) -> None:
    made = desk("dino")
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    document = {"images": [], "annotations": [], "categories": categories}
    (made.data / "train/annotations.json").write_text(json.dumps(document))
    made.edit(COLOURS, colours)
    found = validate_projects(made.workspace, ["p"], {"HOME": "/nowhere"})
    said = [(one.line, one.message) for one in found if one.code == "class-without-colour"]
    wanted = f'"inference.color_map" has no colour for {left}: inference draws no boxes of them'
    assert said == ([(made.line_of("color_map"), wanted)] if left else [])


def test_categories_of_codetr_and_mask2former_are_counted_too(tmp_path: Path) -> None:
    document = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "a"}, {"id": 30, "name": "b"}],
    }
    for head, needed in (("codetr", 31), ("mask2former", 2)):
        made = Desk(tmp_path / head, head)
        (made.data / "train/annotations.json").write_text(json.dumps(document))
        made.edit(
            "num_classes: $num_classes" if head == "mask2former" else "num_classes: 4", "num_classes: 1"
        )
        found = validate_projects(made.workspace, ["p"], {"HOME": "/nowhere"})
        ((message, hint),) = [(one.message, one.hint) for one in found if one.code == "too-few-classes"]
        assert message.startswith(f"num_classes is 1, the data needs {needed}: train/annotations.json has ")
        assert hint == "taorunner specs refresh e"


# ---- what only a command line names --------------------------------------------------------------------------------

VARS = "    vars:\n      image_dir: {images}\n      label_dir: $dataset_raw/labels\n"


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ("$dataset_raw/images", None),
        ("/usr/share", None),  # a folder of every container
        ("$results_dir/inference/images", None),  # an action makes it
        ("$dataset_raw/imagez", ("missing-input", "no such file or folder: imagez")),
        ("$dataset_raw/nothing", ("empty-input", "nothing is empty")),
        ("/elsewhere/images", ("not-mounted", 'no mount covers "/elsewhere/images": the container does not have it')),
    ],
)  # fmt: skip
def test_folders_that_vars_names_for_a_command_line_are_looked_for(
    desk: Make, images: str, said: tuple[str, str] | None
) -> None:
    made = desk("detectnet_v2")
    (made.data / "nothing").mkdir()
    made.edit(
        "    head: detectnet_v2", f"{VARS.format(images=images)}    head: detectnet_v2", "experiments.yml"
    )
    line = made.line_of("image_dir:", "experiments.yml")
    validated, launched = made.validated(), made.launched("inference")
    if said is None:
        assert (validated, launched) == ([], [])
        return
    code, message = said
    assert [one[:3] for one in validated] == [(f"info {code}", line, f"{message} (inference reads it)")]
    assert [one[:3] for one in launched] == [(f"error {code}", line, message)]
    assert made.launched("export") == []


def test_a_folder_in_place_of_a_file_of_a_training_is_an_error_in_validate(desk: Make) -> None:
    made = desk("classification_tf1")
    (made.data / "map.json").mkdir()
    own = "    vars: {classmap: $dataset_raw/map.json}\n"
    made.edit("    head: classification_tf1", f"{own}    head: classification_tf1", "experiments.yml")
    message = "map.json is a folder, and a file belongs there"
    assert [one[:3:2] for one in made.validated()] == [("error wrong-input", message)]
    assert [one[:3:2] for one in made.launched("train")] == [("error wrong-input", message)]


@pytest.mark.parametrize(
    ("action", "built", "what", "hint"),
    [
        ("gen_trt_engine", "export", "exported model", "taorunner export e"),
        ("deploy.inference", "gen_trt_engine", "engine", "taorunner run gen_trt_engine e"),
    ],
)
def test_a_model_that_an_earlier_action_makes_is_a_note_until_the_start(
    desk: Make, action: str, built: str, what: str, hint: str
) -> None:
    made = desk("rtdetr")
    results = made.project / "models/e"

    def said(**asked: object) -> list[tuple[str, str, str | None]]:
        request = ActionRequest(action, ("e",), **asked)  # type: ignore[arg-type]
        found = plan_action(made.workspace, "p", request, CALLER).findings
        codes = ("checkpoint-missing", "not-made-yet")
        return [(f"{f.severity.value} {f.code}", f.message, f.hint) for f in found if f.code in codes]

    assert [one[0] for one in said()] == ["error checkpoint-missing"]
    assert [one[0] for one in said(dry_run=True)] == ["info checkpoint-missing", "info not-made-yet"]
    (results / "train").mkdir(parents=True)
    with zipfile.ZipFile(results / "train/model_epoch_000_step_00010.pth", "w") as file:
        file.writestr("archive/data.pkl", b"x")
    suffix = "onnx" if built == "export" else "engine"
    path = results / built / f"model_epoch_000_step_00010.{suffix}"
    message = f"the {what} {path} is not there yet: {built} makes it"
    assert said() == [("error not-made-yet", message, hint)]
    assert said(dry_run=True) == [("info not-made-yet", message, hint)]
    (results / built).mkdir()
    (results / built / f"any.{suffix}").write_bytes(b"\x08\x07")
    assert said() == []


@pytest.mark.parametrize(
    ("head", "given", "meant"), [("detectnet_v2", "set", "set/train"), ("tinydet", "set", "set/train")]
)
def test_the_folder_around_the_subset_that_is_read(head: str, given: str, meant: str, desk: Make) -> None:
    """As after ``dataset split``, which makes ``train`` and ``val``."""
    made = desk(head)
    for part in ("images", "labels"):
        (made.data.parent / "train" / part).mkdir(exist_ok=True)
    assert made.data.name == "train" and (made.data / "images").is_dir()
    file = made.workspace.project("p").experiments_file
    file.write_text(file.read_text().replace(f"dataset: {meant}", f"dataset: {given}"))
    assert f"dataset: {given} " in file.read_text()
    found = [one for one in made.validated() if one[0] == "error missing-input"]
    assert found and {hint for *_, hint in found} == {f'write "dataset: {meant}" in experiments.yml'}


def test_a_subset_where_the_folder_around_it_is_read(desk: Make) -> None:
    made = desk("rtdetr")
    inner = made.data / "train"
    assert (inner / "images").is_dir()
    file = made.workspace.project("p").experiments_file
    file.write_text(file.read_text().replace("dataset: set/train", "dataset: set/train/train"))
    ((code, _, _, hint),) = made.validated()
    assert (code, hint) == ("error missing-input", 'write "dataset: set/train" in experiments.yml')


RESUMED = "resume_training_checkpoint_path"


def resumed_from(made: Desk, path: str) -> None:
    made.edit("train:\n", f"train:\n  {RESUMED}: {path}\n")


def test_a_checkpoint_that_is_not_there_is_an_error_where_the_spec_resumes_from_it(desk: Make) -> None:
    made = desk("rtdetr")
    resumed_from(made, "$results_dir/train/model_epoch_009_step_00100.pth")
    wanted = (
        "error missing-input",
        made.line_of(RESUMED),
        "no such checkpoint: models/e/train/model_epoch_009_step_00100.pth",
        f'taorunner resume e chooses the newest checkpoint itself: leave "train.{RESUMED}" out',
    )
    assert made.validated() == made.launched("train") == made.launched("train", dry_run=True) == [wanted]
    assert made.launched("train", resume=True) == []  # which replaces it


def test_a_checkpoint_of_the_results_that_overwrite_sets_aside(desk: Make) -> None:
    made = desk("rtdetr")
    resumed_from(made, "$results_dir/train/model_epoch_009_step_00100.pth")
    checkpoint = made.project / "models/e/train/model_epoch_009_step_00100.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")

    assert made.validated() == made.launched("train") == []
    ((code, _, message, _),) = made.launched("train", overwrite=True)
    assert (code, message) == (
        "error missing-input",
        "--overwrite sets models/e/train/model_epoch_009_step_00100.pth aside before the training looks for it",
    )


@pytest.mark.parametrize("value", ["null", "???", '""'])
def test_no_checkpoint_to_resume_from_is_no_finding(value: str, desk: Make) -> None:
    made = desk("rtdetr")
    resumed_from(made, value)
    assert made.validated() == made.launched("train") == []


def test_a_checkpoint_of_tf1_that_is_not_there(desk: Make) -> None:
    made = desk("yolo_v3")
    file = "specs/e/train.txt"
    made.edit(
        "training_config {\n", 'training_config {\n  resume_model_path: "$results_dir/weights/x.hdf5"\n', file
    )
    line = made.line_of("resume_model_path", file)
    found = [one for one in made.validated() if one[1] == line]
    assert [(code, message) for code, _, message, _ in found] == [
        ("error missing-input", "no such checkpoint: models/e/weights/x.hdf5")
    ]
    assert found[0] in made.launched("train")


def test_a_relative_path_of_a_command_line_is_an_error_at_its_variable(desk: Make) -> None:
    made = desk("efficientdet_tf1")
    made.edit("annotations_file: $dataset_raw/train/", "annotations_file: train/", "experiments.yml")
    line = made.line_of("annotations_file:", "experiments.yml")
    wanted = (
        "error relative-path",
        line,
        '"train/annotations.json" is relative: TAO starts in a folder of its image, and finds nothing there',
        "write $dataset_raw/train/annotations.json",
    )
    assert wanted in made.launched("convert")


def test_a_relative_path_is_an_error_that_says_what_to_write(desk: Make) -> None:
    made = desk("rtdetr")
    made.edit(f"$dataset_raw/{VAL}", f"data/set/train/{VAL}")
    wanted = (
        "error relative-path",
        made.line_of(f"data/set/train/{VAL}"),
        f'"{VAL}" is relative: TAO starts in a folder of its image, and finds nothing there',
        f"write $dataset_raw/{VAL}",
    )
    assert made.validated() == made.launched("train") == [wanted]


def test_a_relative_path_that_leads_to_a_file_where_containers_start_is_no_finding(desk: Make) -> None:
    made = desk("rtdetr")
    made.edit(f"$dataset_raw/{VAL}", f"projects/p/data/set/train/{VAL}")
    assert made.validated() == made.launched("train") == []


def test_relative_paths_below_a_root_of_the_spec_are_none_of_the_containers(desk: Make) -> None:
    made = desk("bevfusion")
    made.edit("$results_dir/kitti_person_infos_val.pkl", "kitti_person_infos_val.pkl")
    assert made.validated() == []


def test_what_lies_in_tmp_of_this_host_is_not_in_a_container(desk: Make, tmp_path: Path) -> None:
    made = desk("rtdetr")
    made.edit(f"$dataset_raw/{VAL}", "/tmp/annotations.json")
    ((code, line, message, _),) = made.launched("train")
    assert (code, message) == (
        "error not-mounted",
        'no mount covers "/tmp/annotations.json": the container does not have it',
    )
    assert (code, line) in [one[:2] for one in made.validated()]


def test_what_the_command_line_of_a_run_names_is_not_looked_for_in_the_spec(desk: Make) -> None:
    place = desk("dino")
    place.edit("evaluate:\n", "evaluate:\n  checkpoint: /nowhere/a.pth\n")
    trained = place.project / "models/e/train/model_epoch_001_step_00002.pth"
    trained.parent.mkdir(parents=True)
    with zipfile.ZipFile(trained, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    engine = place.project / "models/e/gen_trt_engine/model_epoch_001_step_00002.engine"
    engine.parent.mkdir()
    engine.write_bytes(b"engine")
    assert place.launched("evaluate") == []
    assert place.launched("deploy.evaluate") == []
