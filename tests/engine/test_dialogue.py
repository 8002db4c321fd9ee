"""What is said to a container and what it answers, over the connection of an engine that is scripted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted_engine import Container, ScriptedEngine, frame, scripted_engine
from served import Served

from taorunner.container_options import ContainerSettings
from taorunner.engine import containers
from taorunner.engine.client import Address, Engine, connect
from taorunner.engine.dialogue import NEVER_DETACH, converse, resize, signal
from taorunner.errors import MachineError, TaorunnerError

OUT, ERR = "stdout", "stderr"


@pytest.fixture
def scripted() -> Iterator[ScriptedEngine]:
    with scripted_engine() as engine:
        yield engine


@pytest.fixture
def engine_api(scripted: ScriptedEngine) -> Iterator[Engine]:
    engine = connect({"DOCKER_HOST": scripted.url})
    yield engine
    engine.api.close()


def created(engine_api: Engine, scripted: ScriptedEngine, container: Container) -> Container:
    scripted.template = container
    assert containers.create(engine_api, ContainerSettings("c", "tao:5", ("sh",))) == "c"
    return container


@pytest.mark.parametrize("tty", [False, True])
def test_what_is_said_is_heard_and_answered(tty: bool, engine_api: Engine, scripted: ScriptedEngine) -> None:
    output = b"plain" if tty else frame(OUT, b"out") + frame(ERR, b"err")
    container = created(engine_api, scripted, Container(says=output, listens_for=5))
    dialogue = converse(engine_api, "c", tty=tty)
    (query,) = [query for method, path, query in scripted.calls if path == "/containers/c/attach"]
    assert query == {"stdin": "1", "stdout": "1", "stderr": "1", "stream": "1", "detachKeys": NEVER_DETACH}
    containers.start(engine_api, "c")
    dialogue.send(b"he")
    dialogue.send(b"llo")
    dialogue.end_input()
    dialogue.end_input()
    heard = list(dialogue)
    assert b"".join(data for _, data in heard) == (b"plain" if tty else b"outerr")
    assert {name for name, _ in heard} == ({OUT} if tty else {OUT, ERR})
    assert bytes(container.heard) == b"hello"
    dialogue.close()
    dialogue.close()
    dialogue.end_input()
    with pytest.raises(OSError):
        dialogue.send(b"too late")


def test_a_dialogue_that_is_closed_ends_before_its_container(
    engine_api: Engine, scripted: ScriptedEngine
) -> None:
    container = created(engine_api, scripted, Container(says=frame(OUT, b"out"), stays=True))
    dialogue = converse(engine_api, "c", tty=False)
    containers.start(engine_api, "c")
    said = iter(dialogue)
    assert next(said) == (OUT, b"out")
    dialogue.close()
    assert list(said) == []
    container.hang_up()


def test_over_tls_there_is_no_end_of_input(engine_api: Engine, scripted: ScriptedEngine) -> None:
    over_tls = Engine(engine_api.api, Address("tcp://far:2376", "a test", tls=object()), engine_api.product)
    with pytest.raises(MachineError, match="a TLS connection cannot pass on the end of standard input"):
        converse(over_tls, "c", tty=False)
    created(engine_api, scripted, Container())
    converse(over_tls, "c", tty=True).close()


@pytest.mark.parametrize(("status", "is_done"), [(200, True), (409, False), (404, False)])
def test_the_size_of_a_terminal(status: int, is_done: bool, connected: Engine, served: Served) -> None:
    served.answers["POST /containers/c/resize"] = (status, {"message": "no"} if status != 200 else b"")
    assert resize(connected, "c", 24, 80) is is_done
    assert served.of("POST", "/containers/c/resize").query == {"h": "24", "w": "80"}


@pytest.mark.parametrize(
    ("status", "message"),
    [(204, ""), (404, "No such container: c"), (409, "container c is not running")],
)
def test_a_signal_to_a_container_that_has_ended_is_none(
    status: int, message: str, connected: Engine, served: Served
) -> None:
    served.answers["POST /containers/c/kill"] = (status, {"message": message})
    signal(connected, "c", "HUP")
    assert served.of("POST", "/containers/c/kill").query == {"signal": "HUP"}


def test_a_signal_that_the_engine_refuses_is_an_error(connected: Engine, served: Served) -> None:
    served.answers["POST /containers/c/kill"] = (500, {"message": "cannot kill"})
    with pytest.raises(TaorunnerError, match="cannot kill"):
        signal(connected, "c", "HUP")


@pytest.mark.parametrize("tty", [False, True])
def test_attached_before_its_start_the_output_is_whole(
    tty: bool, engine_api: Engine, scripted: ScriptedEngine
) -> None:
    created(engine_api, scripted, Container(says=b"plain" if tty else frame(ERR, b"err")))
    stream = containers.attach(engine_api, "c", tty=tty)
    (query,) = [query for method, path, query in scripted.calls if path == "/containers/c/attach"]
    assert query == {"stdout": "1", "stderr": "1", "stream": "1"}
    containers.start(engine_api, "c")
    assert list(stream) == [(OUT, b"plain") if tty else (ERR, b"err")]
    stream.close()


WHOLE = frame(OUT, "one\ncaf\u00e9 ".encode()) + frame(ERR, b"err\n") + frame(OUT, b"last")


@pytest.mark.parametrize(
    ("live", "rest"),
    [
        ([], [(OUT, "one\ncaf\u00e9 ".encode()), (ERR, b"err\n"), (OUT, b"last")]),
        ([(OUT, b"one\n")], [(OUT, "caf\u00e9 ".encode()), (ERR, b"err\n"), (OUT, b"last")]),
        ([(OUT, b"one\ncaf\xc3")], [(OUT, "\u00e9 ".encode()), (ERR, b"err\n"), (OUT, b"last")]),
        ([(ERR, b"err\n"), (OUT, "one\ncaf\u00e9 la".encode())], [(OUT, b"st")]),
        ([(OUT, "one\ncaf\u00e9 last".encode()), (ERR, b"err\n")], []),
    ],
)
def test_output_that_was_not_delivered_comes_from_the_stored_log(
    live: list[tuple[str, bytes]], rest: list[tuple[str, bytes]], engine_api: Engine, scripted: ScriptedEngine
) -> None:
    created(engine_api, scripted, Container(says=WHOLE))
    containers.start(engine_api, "c")
    got = list(containers.output_to_the_end(engine_api, "c", iter(live)))  # type: ignore[arg-type]
    held = b"".join(data for name, data in live if data.endswith(b"\xc3")).replace(b"\xc3", b"")
    begun = [(OUT, held)] if held else live
    assert got == [*begun, *rest]


def test_of_a_container_that_is_gone_there_is_what_was_delivered(engine_api: Engine) -> None:
    got = list(containers.output_to_the_end(engine_api, "gone", iter([(OUT, b"a")])))  # type: ignore[arg-type]
    assert got == [(OUT, b"a")]


def test_a_character_that_never_ends_is_delivered_at_the_end(
    engine_api: Engine, scripted: ScriptedEngine
) -> None:
    created(engine_api, scripted, Container(says=frame(OUT, "a\ufffd".encode())))
    containers.start(engine_api, "c")
    got = list(containers.output_to_the_end(engine_api, "c", iter([(OUT, b"a\xc3")])))  # type: ignore[arg-type]
    assert b"".join(data for _, data in got) == b"a\xc3"
