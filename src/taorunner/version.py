"""The version of taorunner: read by the build, printed by ``-V``, sent as the user agent of downloads."""

__version__ = "0.2.0"
