"""What taorunner knows about the backend before it is loaded."""

from taorunner.targets import Target

TARGET = Target(
    name="spot",
    summary="programs of this machine that can be preempted",
    sees_host_paths=True,
    needs_image=False,
)
