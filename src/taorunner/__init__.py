"""taorunner: train computer-vision models with NVIDIA TAO Toolkit from the command line."""

from taorunner.version import __version__ as __version__
