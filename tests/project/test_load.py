from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.errors import Finding, Severity
from taorunner.project.experiments import Experiment
from taorunner.project.keys import EXPECTED, EXPERIMENT_KEYS, TAO_CONFIG_KEYS
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]
GOOD = "experiments:\n  e:\n    head: dssd\n    dataset: kitti\n"


def only(project: Project) -> Finding:
    assert len(project.findings) == 1, project.findings
    return project.findings[0]


def findings_of(project: Project) -> list[tuple[int | None, int | None, str, str, str | None]]:
    return [(one.line, one.column, one.code, one.message, one.hint) for one in project.findings]


def test_interface_example_loads_unchanged(load: Load, interface_example: str, workspace: Workspace) -> None:
    project = load(interface_example)
    assert project.findings == ()
    assert project.experiments == {
        "dssd_resnet18_01": Experiment(
            name="dssd_resnet18_01",
            head="dssd",
            dataset="kitti_detection/train",
            backbone="resnet18",
            repository="pretrained_object_detection",
            model_key="secret_key",
            export_model="dssd_resnet18_epoch_080",
            export_type="fp16",
            gpus=1,
            gpu_ids=("1",),
            spec_dirs=(workspace.project("p").specs_dir / "dssd_resnet18_01",),
        )
    }
    assert (project.name, project.names, project.has_errors) == ("p", ("dssd_resnet18_01",), False)


def test_every_key_is_read(load: Load, workspace: Workspace) -> None:
    project = load(
        """\
tao_config:
  gpus: 2
  gpu_indices: auto
  release: "5.0.0"
  image: from/config:1
  backend: docker
  shm_size: 8G
  env: {A: "1", B: "env:SECRET_B"}
  user: "1000:1000"
experiments:
  e:
    head: dssd
    backbone: resnet18
    repository: pretrained
    model_key: file:~/.key
    dataset: kitti
    export_model: weights/model=3.hdf5
    export_type: int8
    gpus: 3
    gpu_indices: [0, "01", GPU-8f3a12]
    release: 7.1.0
    image: nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5
    backend: local
    shm_size: 512m
    env:
      B: over
      C: file:/c
    user: nobody
    vars: {batch_size: 8, rate: 1e-4, on: true, name: x, sizes: [1, 2]}
    overrides: {train.num_epochs: 12, "a[0].b": null, deep: {x: [1]}}
    description: all of it
    tags: [baseline, v2]
"""
    )
    assert project.findings == ()
    assert project.experiments["e"] == Experiment(
        name="e",
        head="dssd",
        dataset="kitti",
        backbone="resnet18",
        repository="pretrained",
        model_key="file:~/.key",
        export_model="weights/model=3.hdf5",
        export_type="int8",
        gpus=3,
        gpu_ids=("0", "1", "GPU-8f3a12"),
        release="7.1.0",
        image="nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5",
        backend="local",
        shm_bytes=512 * 1024**2,
        env={"A": "1", "B": "over", "C": "file:/c"},
        user="nobody",
        spec_dirs=(workspace.project("p").spec_dir("e"),),
        vars={"batch_size": 8, "rate": 1e-4, "on": True, "name": "x", "sizes": [1, 2]},
        overrides={"train.num_epochs": 12, "a[0].b": None, "deep": {"x": [1]}},
        description="all of it",
        tags=("baseline", "v2"),
    )


def test_defaults_of_tao_config_lie_below(load: Load) -> None:
    project = load('tao_config: {gpus: 2, release: "5.0.0", env: {A: x}, shm_size: 1G}\n' + GOOD)
    experiment = project.experiments["e"]
    assert (experiment.gpus, experiment.gpu_ids, experiment.release) == (2, None, "5.0.0")
    assert (experiment.env, experiment.shm_bytes) == ({"A": "x"}, 1024**3)


def test_secret_origins_and_images_may_stand_in_braces(load: Load) -> None:
    project = load(
        "tao_config: {user: 1000:1000}\n" + GOOD + "    env: {A: env:B, C: file:/c}\n    gpus: true\n"
    )
    assert [(one.line, one.column, one.code) for one in project.findings] == [(7, 11, "wrong-type")]
    project = load("tao_config: {user: 1000:1000}\n" + GOOD + "    env: {A: env:B, C: file:/c}\n")
    assert (project.experiments["e"].env, project.experiments["e"].user) == (
        {"A": "env:B", "C": "file:/c"},
        "1000:1000",
    )


def test_colon_in_braces_of_a_long_file_wants_quotes(load: Load) -> None:
    finding = only(load(GOOD + "    env: {A: env:B}\n" + "#" * 200_000))
    assert (finding.line, finding.code, finding.hint) == (
        5,
        "yaml-syntax",
        'put the text with the ":" in quotes',
    )


def test_tao_config_may_hold_nothing_but_comments(load: Load) -> None:
    assert load("tao_config:\n  # gpus: 1\n" + GOOD).findings == ()


def test_secrets_are_not_in_the_repr(load: Load) -> None:
    project = load(GOOD + "    model_key: s3cret_key\n    env: {TOKEN: s3cret_env}\n")
    assert "s3cret" not in repr(project.experiments["e"])
    assert "s3cret" not in repr(project)


def test_secrets_are_not_in_findings(load: Load) -> None:
    entry = "{head: d, dataset: k, model_key: 7654321, env: [s3cret]}"
    text = f"tao_config: {{env: {{T: 1234567}}}}\nexperiments:\n  e: {entry}\n"
    shown = repr(load(text).findings) + repr(load(GOOD + '    model_key: "s3cret\\n"\n').findings)
    assert not [secret for secret in ("1234567", "7654321", "s3cret") if secret in shown]


def test_all_problems_are_reported_at_once_each_at_its_place(load: Load) -> None:
    project = load(
        """\
tao_config:
  gpus: "1"
  head: dssd
experiments:
  first:
    head: dssd
    dataset: ../kitti
    gpus: true
    gpu_indices: [0, -1]
    release: 5.0
    modelkey: x
  "two words":
    head: 3
  third: {dataset: k, tao_config: 1}
gpu_indices: [1]
"""
    )
    name_rule = "letters, digits, dots, dashes and underscores, the first a letter or digit"
    assert findings_of(project) == [
        (2, 9, "wrong-type", '"gpus" must be a whole number from 0 to 64, not "1"', "without quotes: 1"),
        (3, 3, "unknown-key", 'unknown key "head"', '"head" belongs to an experiment'),
        (
            7, 14, "wrong-value",
            '"dataset" must be a folder below data/, such as kitti_detection/train, not "../kitti"',
            f"it is looked for below data/; a folder's name is made of {name_rule}",
        ),
        (8, 11, "wrong-type", '"gpus" must be a whole number from 0 to 64, not true', None),
        (
            9, 22, "wrong-value",
            '"gpu_indices" cannot hold the number -1: "gpu_indices" must be a list of GPU numbers or UUIDs, such as '
            '[0, 1], or "auto"', None,
        ),
        (
            10, 14, "wrong-type", '"release" must be a TAO release in text, such as "5.0.0", not the number 5.0',
            'put it in quotes: "5.0"',
        ),
        (11, 5, "unknown-key", 'unknown key "modelkey"', 'did you mean "model_key"?'),
        (
            12, 3, "wrong-name",
            '"two words" cannot be the name of an experiment: TAO\'s shell would split or change it',
            f"use {name_rule}",
        ),
        (12, 3, "missing-key", 'experiment "two words" has no "dataset"', 'write "dataset:", the folder below data/'),
        (13, 11, "wrong-type", '"head" must be the name of a network, not the number 3', None),
        (
            14, 3, "missing-key", 'experiment "third" has no "head"',
            'write "head:", the network: "taorunner networks" lists them',
        ),
        (
            14, 23, "unknown-key", 'unknown key "tao_config"',
            '"tao_config" belongs to the top of the file, not to an experiment',
        ),
        (15, 1, "unknown-key", 'unknown key "gpu_indices"', '"gpu_indices" belongs below "tao_config"'),
    ]  # fmt: skip
    assert project.experiments == {}
    assert {one.severity for one in project.findings} == {Severity.ERROR}
    assert {one.file for one in project.findings} == {project.paths.experiments_file}


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("gpus: 1.0", '"gpus" must be a whole number from 0 to 64, not the number 1.0', None),
        ("gpus: 65", '"gpus" must be a whole number from 0 to 64, not the number 65', None),
        ("gpus: -1", '"gpus" must be a whole number from 0 to 64, not the number -1', None),
        ("gpus:", '"gpus" must be a whole number from 0 to 64, not nothing', "write a value, or remove the line"),
        ("gpus: [1]", '"gpus" must be a whole number from 0 to 64, not a list', None),
        ("gpu_indices: 1", '"gpu_indices" must be {gpu_indices}, not the number 1', "a list: [1]"),
        ('gpu_indices: "1"', '"gpu_indices" must be {gpu_indices}, not "1"', "a list: [1]"),
        ("gpu_indices: all", '"gpu_indices" must be {gpu_indices}, not "all"', None),
        ("gpu_indices: true", '"gpu_indices" must be {gpu_indices}, not true', None),
        ("gpu_indices: []", '"gpu_indices" must be {gpu_indices}, not a list', None),
        ("export_type: FP16", '"export_type" must be fp32, fp16 or int8, not "FP16"', None),
        ("backend: lsf", '"backend" must be docker, local, embedded, slurm, kubernetes or docker-ssh, not "lsf"', None),
        ("shm_size: 16", '"shm_size" must be a size of at least 1 MiB, such as 16G, not the number 16',
         'did you mean "16G"?'),
        ('shm_size: "64k"', '"shm_size" must be a size of at least 1 MiB, such as 16G, not "64k"', None),
        ("shm_size: 16 gigs", '"shm_size" must be a size of at least 1 MiB, such as 16G, not "16 gigs"', None),
        ("user: 1000", '"user" must be a text such as "1000:1000", not the number 1000', 'put it in quotes: "1000"'),
        ("description: 1", '"description" must be a text, not the number 1', 'put it in quotes: "1"'),
        ("description: true", '"description" must be a text, not true', None),
        ("tags: a", '"tags" must be a list of plain words, not "a"', "a list: [a]"),
        ("tags: [a b]", '"tags" cannot hold "a b": "tags" must be a list of plain words', None),
        ("release: v5", '"release" must be a TAO release in text, such as "5.0.0", not "v5"', None),
        ('image: "a b"', '"image" must be the name of a container image, without blanks, not "a b"', None),
        ("backbone: resnet 18", '"backbone" must be a plain name such as resnet18, not "resnet 18"', None),
        ("export_model: ../x", '"export_model" must be the name of a checkpoint, not "../x"', None),
        ("model_key: 12", '"model_key" must be a text, env:NAME or file:PATH, not the number ***', "put it in quotes"),
        ("env: [A]", '"env" must be a mapping of variable names to texts, not a list', None),
        ("env: {A: 1}", '"env.A" cannot hold the number ***: "env" must be a mapping of variable names to texts',
         "put it in quotes"),
        ("env: {A-B: x}", '"A-B" cannot be a name in "env"', None),
        ("vars: {a: {b: 1}}", '"vars.a" must be {vars}, not a mapping', None),
        ("vars: {a: [[1]]}", '"vars.a" must be {vars}, not a list', None),
        ("vars: {a: null}", '"vars.a" cannot hold nothing: "vars" must be {vars}', "write a value, or remove the line"),
        ("overrides: [a=1]", '"overrides" must be a mapping of dotted spec keys to values, not a list', None),
        ("overrides: {a b: 1}", '"a b" cannot be a name in "overrides"', None),
        ("extends: [a]", '"extends" must be the name of another experiment, not a list', None),
    ],
)  # fmt: skip
def test_wrong_values_are_reported_in_words(load: Load, line: str, message: str, hint: str | None) -> None:
    finding = only(load(GOOD + f"    {line}\n"))
    assert finding.message == message.format(gpu_indices=EXPECTED["gpu_indices"], vars=EXPECTED["vars"])
    assert (finding.hint, finding.line) == (hint, 5)
    assert finding.code in ("wrong-type", "wrong-value", "wrong-name")


@pytest.mark.parametrize(
    ("dataset", "hint"),
    [
        ("/abs/kitti", "it is looked for below data/: put the dataset, or a link to it, there and write its name"),
        ("data/kitti", None),
        ("./kitti", 'did you mean "kitti"?'),
        ("kitti/", 'did you mean "kitti"?'),
        ("kitti//train", 'did you mean "kitti/train"?'),
        ("kitti\\train", 'did you mean "kitti/train"?'),
        ("kitti/../..", "it is looked for below data/; a folder's name is made of letters, digits, dots, dashes and "
                        "underscores, the first a letter or digit"),
    ],
)  # fmt: skip
def test_dataset_stays_below_data(load: Load, dataset: str, hint: str | None) -> None:
    project = load(f"experiments:\n  e:\n    head: dssd\n    dataset: {dataset}\n")
    if hint is None:
        assert project.findings == ()  # data/data/kitti is odd, but the layout check says so
    else:
        assert (only(project).hint, only(project).line, only(project).column) == (hint, 4, 14)


@pytest.mark.parametrize("name", ["a b", "../x", "a/b", "-a", "ä", "a$b", "a;b", "x" * 101])
def test_names_that_taos_shell_would_split_are_refused(load: Load, name: str) -> None:
    project = load(f'experiments:\n  "{name}": {{head: dssd, dataset: k}}\n')
    assert (only(project).code, only(project).line, only(project).column) == ("wrong-name", 2, 3)
    assert project.experiments == {}


@pytest.mark.parametrize(
    ("key", "words"), [("1", "the number 1"), ("true", "true"), ("~", "nothing"), ("1.5", "the number 1.5")]
)
def test_names_that_yaml_does_not_read_as_text_want_quotes(load: Load, key: str, words: str) -> None:
    finding = only(load(f"experiments:\n  {key}: {{head: dssd, dataset: k}}\n"))
    assert finding.message == f"the name of an experiment must be a text, not {words}"
    assert finding.hint == "put it in quotes"


def test_key_that_is_no_text_inside_an_experiment(load: Load) -> None:
    finding = only(load(GOOD + "    1: x\n"))
    assert (finding.code, finding.message, finding.line) == (
        "wrong-name",
        "a key must be a text, not the number 1",
        5,
    )


def test_duplicate_keys_are_found_at_every_level(load: Load, rows: Callable[..., object]) -> None:
    project = load(
        "tao_config: {gpus: 1, gpus: 2}\n"
        + GOOD
        + "    head: ssd\n  e: {head: ssd, dataset: k}\ntao_config:\n"
    )
    assert rows(project.findings) == [
        (1, 23, "duplicate-key"),
        (6, 5, "duplicate-key"),
        (7, 3, "duplicate-key"),
        (8, 1, "duplicate-key"),
    ]


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", "empty-file", '"experiments.yml" is empty'),
        ("# nothing\n", "empty-file", '"experiments.yml" is empty'),
        ("- a\n- b\n", "wrong-type", "the file must be a mapping, not a list"),
        ("just words\n", "wrong-type", 'the file must be a mapping, not "just words"'),
        ("tao_config: {}\n", "missing-key", '"experiments" is missing'),
        ("experiments:\n", "no-experiments", '"experiments" names no experiment'),
        ("experiments: {}\n", "no-experiments", '"experiments" names no experiment'),
        (
            "experiments: [e]\n",
            "wrong-type",
            '"experiments" must be a mapping of names to experiments, not a list',
        ),
        ("experiments: {e: }\n", "wrong-type", 'experiment "e" must be a mapping, not nothing'),
        ("experiments: {e: dssd}\n", "wrong-type", 'experiment "e" must be a mapping, not "dssd"'),
        ("tao_config: 1\n" + GOOD, "wrong-type", '"tao_config" must be a mapping, not the number 1'),
        ("---\n" + GOOD + "---\n" + GOOD, "several-documents", "a second document starts here (---)"),
    ],
)
def test_files_of_the_wrong_shape(load: Load, content: str, code: str, message: str) -> None:
    assert (only(load(content)).code, only(load(content)).message) == (code, message)


def test_experiment_at_the_top_is_reported_where_it_belongs(load: Load) -> None:
    finding = load("e: {head: dssd, dataset: k}\n").findings[0]
    assert (finding.code, finding.hint) == (
        "unknown-key",
        'is it an experiment? move it below "experiments:"',
    )


def test_gpus_and_gpu_indices_must_agree(load: Load) -> None:
    finding = only(load(GOOD + "    gpus: 1\n    gpu_indices: [0, 1]\n"))
    assert (finding.line, finding.column, finding.code) == (5, 11, "gpus-disagree")
    assert finding.message == '"gpus" is 1, but "gpu_indices" names 2'
    assert finding.hint == "make them agree, or remove one of them"


def test_disagreement_in_tao_config_is_reported_once(load: Load) -> None:
    project = load("tao_config: {gpus: 1, gpu_indices: [0, 1]}\n" + GOOD + "  f: {head: dssd, dataset: k}\n")
    assert (only(project).line, only(project).code) == (1, "gpus-disagree")


@pytest.mark.parametrize(
    ("config", "own", "gpus", "gpu_ids"),
    [
        ("gpus: 1, gpu_indices: [1]", "gpus: 0", 0, None),
        ("gpus: 1, gpu_indices: [1]", "gpu_indices: [2, 3]", 2, ("2", "3")),
        ("gpus: 1, gpu_indices: [1]", "gpu_indices: auto", 1, None),
        ("gpus: 1, gpu_indices: [1]", "gpus: 2, gpu_indices: auto", 2, None),
        ("gpus: 4", "gpu_indices: [0]", 1, ("0",)),
        ("gpu_indices: [4, 5]", "gpus: 2", 2, ("4", "5")),
        ("gpu_indices: [4, 5]", "backbone: x", 2, ("4", "5")),
        ("shm_size: 1G", "backbone: x", None, None),
    ],
)
def test_own_word_about_gpus_goes_before_the_defaults(
    load: Load, config: str, own: str, gpus: int | None, gpu_ids: tuple[str, ...] | None
) -> None:
    project = load(f"tao_config: {{{config}}}\nexperiments:\n  e: {{head: dssd, dataset: k, {own}}}\n")
    assert project.findings == ()
    assert (project.experiments["e"].gpus, project.experiments["e"].gpu_ids) == (gpus, gpu_ids)


def test_more_gpus_than_the_inherited_list_names_is_an_error_not_a_guess(load: Load) -> None:
    finding = only(load("tao_config: {gpu_indices: [1]}\n" + GOOD + "    gpus: 2\n"))
    assert (finding.line, finding.code, finding.hint) == (6, "gpus-disagree", 'write "gpu_indices" here too')


def test_same_gpu_twice_is_reported_at_the_second(load: Load) -> None:
    finding = only(load(GOOD + '    gpu_indices: [0, 1, "00"]\n'))
    assert (finding.line, finding.column, finding.message) == (5, 25, '"gpu_indices" names GPU "00" twice')


def test_place_of_a_key_that_is_written_somewhere_else(load: Load) -> None:
    project = load("tao_config:\n  release: '5.0.0'\n" + GOOD + "  f:\n    extends: e\n    vars: {a: 1}\n")
    path = ("experiments", "f")
    assert project.place(path, of_key=True) == (7, 3)
    assert project.place((*path, "vars", "a")) == (9, 15)
    assert project.place((*path, "head")) == (5, 11)
    assert project.place((*path, "head"), of_key=True) == (5, 5)
    assert project.place((*path, "release")) == (2, 12)
    assert project.place((*path, "nowhere")) == (7, 3)
    assert project.place(("experiments", "nobody", "head")) == (3, 1)
    finding = project.finding(Severity.WARNING, "c", "m", (*path, "dataset"), hint="h")
    assert finding == Finding(Severity.WARNING, "c", "m", "h", project.paths.experiments_file, 6, 14)


def test_owner_of_a_line(load: Load) -> None:
    project = load("experiments:\n  a:\n    head: d\n  b: {}\n  c: {}\n\ntao_config:\n  gpus: 1\n")
    assert [project.owner_of_line(line) for line in range(10)] == [
        None, None, "a", "a", "b", "c", "c", None, None, None,
    ]  # fmt: skip


def test_experiments_on_one_line_have_no_owner(load: Load) -> None:
    assert load("experiments: {a: {}, b: {}}\n").owner_of_line(1) is None


def test_every_key_has_words_for_what_it_takes() -> None:
    assert set(EXPECTED) == {*EXPERIMENT_KEYS, *TAO_CONFIG_KEYS}


def test_many_mistakes_stay_readable(load: Load) -> None:
    project = load("experiments:\n" + "".join(f"  e{i}: {{hed: dssd, datset: k}}\n" for i in range(5000)))
    assert len(project.findings) == 501
    assert (project.findings[-1].code, project.findings[-1].message) == (
        "too-many-findings",
        "19500 more problems, not shown",
    )


def test_unwritable_characters_do_not_reach_the_terminal(load: Load) -> None:
    project = load('experiments:\n  "\\e[31mred": {head: d, dataset: k}\n')
    assert "\x1b" not in only(project).message


def test_bad_project_name_is_a_finding(workspace: Workspace) -> None:
    assert only(load_project(workspace, "../p")).code == "wrong-name"


def test_project_that_does_not_exist(workspace: Workspace) -> None:
    finding = only(load_project(workspace, "nope"))
    assert (finding.code, finding.message) == (
        "missing-file", f'no file "experiments.yml" in "{workspace.projects_dir / "nope"}"'
    )  # fmt: skip


def test_experiments_yaml_is_the_wrong_spelling(workspace: Workspace) -> None:
    Path(workspace.project("p").root / "experiments.yaml").write_text(GOOD)
    assert only(load_project(workspace, "p")).hint == 'rename "experiments.yaml" to "experiments.yml"'


def test_settings_of_a_backend_merge_by_name_and_stay_with_their_backend(load: Load) -> None:
    text = (
        "tao_config:\n  backend: local\n  backend_options: {a: 1, b: 2}\n"
        "experiments:\n"
        "  base: {head: dino, dataset: d, backend_options: {b: 3}}\n"
        "  same: {extends: base, backend: local}\n"
        "  other: {extends: base, backend: docker, backend_options: {c: 4}}\n"
        "  back: {extends: other, backend: local}\n"
    )
    project = load(text)
    assert {name: one.backend_options for name, one in project.experiments.items()} == {
        "base": {"a": 1, "b": 3},
        "same": {"a": 1, "b": 3},
        "other": {"c": 4},
        "back": {},
    }
    assert project.place(("experiments", "same", "backend_options", "a"), of_key=True) == (3, 21)
    assert project.place(("experiments", "same", "backend_options", "b"), of_key=True) == (5, 52)


def test_a_backend_that_is_nearly_right_gets_a_suggestion(load: Load) -> None:
    finding = only(load(GOOD + "    backend: Docker\n"))
    assert (finding.code, finding.hint) == ("wrong-value", 'did you mean "docker"?')


def test_a_backend_whose_package_is_broken_is_a_finding(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "lsf-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[taorunner.targets]\nlsf = not_there:TARGET\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for text, line in ((GOOD + "    backend: lsf\n", 5), (f"tao_config: {{backend: lsf}}\n{GOOD}", 1)):
        finding = only(load(text))
        assert (finding.code, finding.line) == ("broken-backend", line)
        assert 'the backend "lsf" of "not_there:TARGET" cannot be loaded' in finding.message


def test_no_gpu_and_the_number_of_one_in_one_experiment_contradict_each_other(load: Load) -> None:
    finding = only(load(GOOD + "    gpus: 0\n    gpu_indices: [1]\n"))
    assert finding.message == '"gpus" is 0, but "gpu_indices" names 1'


def test_the_head_of_an_experiment_is_known_where_the_rest_is_wrong(load: Load) -> None:
    project = load(
        """\
experiments:
  base: {head: dssd, dataset: kitti}
  wrong: {head: dino, dataset: kitti, gpus: many}
  child: {extends: base, gpus: many}
  number: {head: 5, dataset: kitti}
  none: {dataset: kitti}
"""
    )
    names = ("base", "wrong", "child", "number", "none", "unknown")
    assert [project.head_of(name) for name in names] == ["dssd", "dino", "dssd", None, None, None]


@pytest.mark.parametrize(
    ("dataset", "hint"),
    [
        ("./data/kitti", 'did you mean "kitti"?'), ("./kitti/", 'did you mean "kitti"?'),
        ("./data/data/x", 'did you mean "data/x"?'), ("data\\\\kitti", 'did you mean "kitti"?'),
    ],
)  # fmt: skip
def test_a_path_to_a_dataset_is_answered_with_its_name(load: Load, dataset: str, hint: str) -> None:
    finding = only(load(GOOD.replace("kitti", f'"{dataset}"')))
    assert finding.hint == hint
