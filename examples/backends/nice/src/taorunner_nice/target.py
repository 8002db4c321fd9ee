"""What taorunner knows about the backend before it is loaded: imports nothing heavy."""

from taorunner.targets import Resource, Setting, Target

DEFAULT_NICENESS = 10

TARGET = Target(
    name="nice",
    summary="programs of this machine with a lower priority",
    sees_host_paths=True,
    needs_image=False,
    resources=frozenset({Resource.TIME}),
    settings={
        "niceness": Setting(int, "a whole number from 0 to 19", lambda value: 0 <= value <= 19),
    },
)
