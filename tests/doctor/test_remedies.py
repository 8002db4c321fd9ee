"""What is typed on which distribution."""

from __future__ import annotations

import pytest
from planted import DEBIAN, FEDORA, UBUNTU, Place

from taorunner.doctor.remedies import install_docker, install_driver, install_toolkit, newer_docker, service

ROCKY = 'NAME="Rocky Linux"\nVERSION_ID="9.4"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
MINT = 'NAME="Linux Mint"\nVERSION_ID="22"\nID=linuxmint\nID_LIKE="ubuntu debian"\n'
SUSE = 'NAME="openSUSE Leap"\nVERSION_ID="15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n'
AMAZON = 'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
ARCH = "NAME=Arch Linux\nID=arch\n"
UNKNOWN = "ID=something\n"


@pytest.mark.parametrize(
    ("release", "starts", "driver"),
    [
        (
            DEBIAN,
            "sudo apt-get update && sudo apt-get install -y docker.io && ",
            "/debian12/x86_64/cuda-keyring_1.1-1_all.deb",
        ),
        (
            UBUNTU,
            "sudo apt-get update && sudo apt-get install -y docker.io && ",
            "sudo apt-get install -y nvidia-driver-580\n",
        ),
        (
            MINT,
            "sudo apt-get update && sudo apt-get install -y docker.io && ",
            "sudo apt-get install -y nvidia-driver-580\n",
        ),
        (FEDORA, "curl -fsSL https://get.docker.com | sudo sh && ", "/fedora41/x86_64/cuda-fedora41.repo"),
        (
            ROCKY,
            "sudo dnf config-manager --add-repo https://download.docker.com/",
            "/rhel9/x86_64/cuda-rhel9.repo",
        ),
        (
            SUSE,
            "sudo zypper --non-interactive install docker && ",
            "sudo zypper --non-interactive install nvidia-open",
        ),
        (AMAZON, "sudo dnf install -y docker && ", "/amzn2023/x86_64/cuda-amzn2023.repo"),
        (ARCH, "sudo pacman -Syu --noconfirm docker && ", "sudo pacman -Syu --noconfirm nvidia-open\n"),
        (UNKNOWN, "curl -fsSL https://get.docker.com | sudo sh && ", "https://www.nvidia.com/drivers"),
    ],
)
def test_each_distribution_has_its_own_words(release: str, starts: str, driver: str, place: Place) -> None:
    place.file("etc/os-release", release)
    machine = place.machine(uid=1000)
    assert install_docker(machine).startswith(starts)
    assert install_docker(machine).endswith(" && sudo systemctl enable --now docker")
    assert newer_docker(machine).endswith(" && sudo systemctl restart docker")
    assert driver in install_driver(machine, 580)
    assert "nvidia-container-toolkit" in install_toolkit(machine)


def test_no_driver_is_asked_for_that_ubuntu_no_longer_has(place: Place) -> None:
    place.file("etc/os-release", UBUNTU)
    assert "nvidia-driver-535\n" in install_driver(place.machine(uid=1000), 525)


def test_root_needs_no_sudo(place: Place) -> None:
    machine = place.machine(uid=0)
    reported = [
        install_docker(machine),
        newer_docker(machine),
        install_driver(machine, 580),
        install_toolkit(machine),
    ]
    assert not any("sudo" in text for text in reported)
    assert service(machine, "start") == "systemctl start docker"


def test_docker_of_amazons_own_packages_is_renewed(place: Place) -> None:
    place.file("etc/os-release", AMAZON)
    assert newer_docker(place.machine(uid=1000)).startswith("sudo dnf install -y docker && ")
