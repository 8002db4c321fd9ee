"""How kubectl is asked: seldom enough, and with answers of any form."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.backends.kubernetes.kubectl import Kubectl, Place
from taorunner.errors import MachineError


@pytest.fixture
def says(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The environment in which kubectl prints that and nothing else."""

    def make(text: str) -> dict[str, str]:
        program = tmp_path / "kubectl"
        (tmp_path / "said").write_text(text)
        program.write_text(f"#!/bin/sh\ncat {tmp_path}/said\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    return make


def test_it_rests_after_each_question_about_all_objects(says: Callable[[str], dict[str, str]]) -> None:
    rests: list[float] = []
    client = Kubectl(None, None, says('{"items": []}'), rests.append)
    assert [client.objects() for _ in range(3)] == [([], [])] * 3
    assert len(rests) == 2 and all(0 < rest <= 10 for rest in rests)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"current-context": "a", "contexts": [{"context": {"namespace": "n"}}]}', Place("a", "n")),
        ("{}", Place(None, "default")),
        ('{"contexts": [7], "current-context": 7}', Place(None, "default")),
    ],
)
def test_a_configuration_of_another_form_gives_the_default(
    says: Callable[[str], dict[str, str]], text: str, place: Place
) -> None:
    assert Kubectl(None, None, says(text)).place() == place


@pytest.mark.parametrize("text", ["", "[]", "no"])
def test_an_answer_that_is_no_object_is_an_error_with_a_next_step(
    says: Callable[[str], dict[str, str]], text: str
) -> None:
    with pytest.raises(MachineError, match="no JSON") as caught:
        Kubectl(None, None, says(text)).objects()
    assert caught.value.hint == "try: kubectl get jobs -o json"


@pytest.mark.parametrize(
    "text",
    [
        '{"items": 7}',
        '{"items": [7, {}, {"kind": "Job"}]}',
        '{"items": [{"kind": "Pod", "status": [], "metadata": 1}]}',
    ],
)
def test_objects_of_another_form_are_read_as_empty_ones(
    says: Callable[[str], dict[str, str]], text: str
) -> None:
    jobs, pods = Kubectl(None, None, says(text)).objects()
    assert all(job.name == "" for job in jobs) and all(pod.name == "" for pod in pods)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_no_current_context_is_said_in_plain_words(tmp_path: Path) -> None:
    """By the real kubectl, where the configuration of the caller is empty."""
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(MachineError) as caught:
        Kubectl(None, None, {**os.environ, "KUBECONFIG": str(tmp_path / "config")}).place()
    assert (str(caught.value), caught.value.hint) == (
        "kubectl has no current context",
        "context: NAME in clusters.yml, or kubectl config use-context NAME",
    )
