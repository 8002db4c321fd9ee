"""taorunner: train computer-vision models with NVIDIA TAO Toolkit from the command line."""

__version__ = "0.1.0"
