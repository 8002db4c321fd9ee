"""Causes that OpenCV, Pillow, Shapely and Pyclipper name: outlines, the writing of images, windows.

Source: the sources of these libraries (cv::Error codes, loadsave.cpp, GEOS exceptions, clipper.cpp).
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

_BROKEN = (
    r"(?P<what>in function '(?:convexHull|minAreaRect|minAreaRect2D|contourArea|fillPoly|fillConvexPoly|drawContours"
    r"|approxPolyDP|arcLength|pointSetBoundingRect|boundingRect|minEnclosingCircle|pointPolygonTest|polylines)'"
    r"|TopologyException: [^\n]{1,120}|TopologicalError: [^\n]{1,120}|(?:Self|Ring Self)-intersection[^\n]{0,60}"
    r"|A (?:linearring|LinearRing|linestring|LineString) (?:requires|must have) at least \d[^\n]{0,40}"
    r"|[Pp]oints of LinearRing do not form a closed linestring"
    r"|The path is invalid for clipping|All paths are invalid for clipping)"
)
_NEEDLES = (
    "in function '|TopologyException|TopologicalError|elf-intersection|A linear|A Linear|A lines|A Lines"
    "|LinearRing|invalid for clipping"
)

GEOMETRY: tuple[Cause, ...] = (
    row(
        "outline-unusable",
        _NEEDLES,
        _BROKEN,
        "an outline (polygon) of the labels cannot be used: {what}",
        "give each outline three or more different points and let it not cross itself; `taorunner dataset check` names "
        "such annotations where it knows the format",
        frame=r"data|load|label|annot|transform|augment|crop|border|shrink|convert|polygon",
    ),
    row(
        "outline-unusable",
        _NEEDLES,
        _BROKEN,
        "an outline (polygon) cannot be used: {what}",
        "it is one of the labels or a predicted one: check the outlines of the labels; for predictions, raise the "
        "thresholds of the spec",
    ),
    row(
        "image-kind-not-written",
        "find a writer|unknown file extension",
        r"could not find a writer for the specified extension|ValueError: unknown file extension: ?(?P<what>\S{0,40})",
        "an image cannot be written, because the extension of its name is unknown: {what}",
        "give the images and the output names of the spec an extension such as .jpg or .png",
    ),
    row(
        "mask-size",
        "sameSize|images do not match|Sizes of input arguments do not match",
        r"(?P<what>_?mask\.sameSize|ValueError: images do not match|Sizes of input arguments do not match)",
        "two images that belong together (image and mask, or prediction) have different sizes or channels: {what}",
        "make both equal; `taorunner dataset check` names pairs of unequal size",
    ),
    row(
        "no-display",
        "Rebuild the library with|to display|$DISPLAY|X server",
        r"The function is not implemented\. Rebuild the library with|could not connect to display"
        r"|no display name and no \$DISPLAY|[Cc]annot connect to X server",
        "the code wants to show a window, and a container has no screen",
        "switch off in the spec what shows images (visualize, show), or let it write files",
    ),
    row(
        "image-channels",
        "nvalid number of channels|VScn::contains",
        r"(?P<what>[Ii]nvalid number of channels in input image|VScn::contains\(scn\))",
        "an image has another number of channels than the code expects: {what}",
        "save all images as RGB, or as greyscale for a model of one channel; `taorunner dataset check` shows the kind "
        "of each image",
    ),
    row(
        "unreadable-image",
        "MAX_TEXT_CHUNK|MAX_TEXT_MEMORY|not a TIFF file|not a PNG file|not a JPEG file|bad transparency",
        r"(?:PngImagePlugin\.)?MAX_TEXT_(?:CHUNK|MEMORY)|SyntaxError: (?:not a (?:TIFF|PNG|JPEG) file|broken)",
        "an image cannot be read: its header or the texts in it are not as they should be",
        "save it again as a plain image; `taorunner dataset check --deep` finds all such images",
    ),
)
