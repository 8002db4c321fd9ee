"""The part of a run in which an exception without a row of its own was raised, by the file of its innermost frame.

They reword: a row that knows the exception explains more. The rows of ``AROUND`` are also compared with the frames
around the innermost one, the nearest first, because an exception is often raised in a library.
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

_ANY = r"(?P<what>^(?:[A-Za-z_]\w{0,80}\.){0,8}\w{0,80}(?:Error|Exception|Warning|Interrupt|error)\b[^\n]{0,240})"
_NEEDLES = "Error|Exception|error"


def _in(places: str) -> str:
    return rf'File "[^"\n]{{0,300}}/(?:{places})'


_DATA = (
    _in(
        r"data_?loaders?/|datasets?/|dataio/|data_generator|torch/utils/data/|transforms?/|augment\w{0,20}[/.]"
        r"|albumentations/|pycocotools/|PIL/|imageio/|tifffile/|skimage/|pandas/|lmdb/|\w{0,40}(?:dataset"
        r"|dataloader|coco"
        r"|data_module|loader|annotation\w{0,20})\.py"
    )
    + r"|torch/_utils\.py\"[^\n]{0,30}in reraise"
    + r"|File \"(?![^\"\n]{0,300}/(?:torch/nn|omegaconf|easydict|addict)/)[^\"\n]{1,300}\""
    r", line \d{1,9}, in (?:__getitem__|collate_fn)\b"
)

AROUND: tuple[Cause, ...] = (
    row(
        "weights-and-code",
        "AttributeError: |TypeError: |ImportError: ",
        r"^(?P<what>(?:Attribute|Type|Import)Error: [^\n]{1,240})",
        "the code that loads weights does not fit their file: {what}",
        'most often another "release" wrote them: use the one that did, or weights of this one',
        weight=Weight.GENERAL,
        frame=_in(
            r"torch/serialization|torch/_weights_only|hdf5_format|safetensors/|keras/\S{0,40}saving|"
            r"saved_model/"
        ),
    ),
    row(
        "while-loading-weights",
        _NEEDLES,
        _ANY,
        "weights or a checkpoint could not be loaded: {what}",
        "the file may be incomplete, or of another network, backbone or release: check the path in the spec",
        weight=Weight.GENERAL,
        frame=_in(
            r"torch/serialization|torch/_weights_only|hdf5_format|safetensors/|keras/\S{0,40}saving|"
            r"saved_model/"
        )
        + r"|in load_state_dict\b",
    ),
    row(
        "while-exporting",
        _NEEDLES,
        _ANY,
        "the export to ONNX failed: {what}",
        "keep the export section of the spec as in NVIDIA's example (size of the training, opset_version 17); "
        "else use "
        'another "release"',
        weight=Weight.GENERAL,
        frame=_in(r"torch/onnx/|torch/jit/|onnx/|onnx_graphsurgeon/|onnxsim/|tf2onnx/|keras2onnx/"),
    ),
    row(
        "while-running-onnx",
        "onnxruntime",
        r"^onnxruntime\.[\w.]{1,100}: (?:\[ONNXRuntimeError\] : \d{1,3} : [A-Z_]{1,40} : "
        r")?(?P<what>[^\n]{1,240})",
        "the ONNX model could not be loaded or run: {what}",
        "export it again with this release, and use images of the size of the export (input_height, "
        "input_width)",
        weight=Weight.GENERAL,
        frame=_in(r"onnxruntime/"),
    ),
    row(
        "while-running-engine",
        _NEEDLES,
        _ANY,
        "TensorRT could not build or run the engine: {what}",
        "the lines before say more; build it again with gen_trt_engine of this release, on this GPU",
        weight=Weight.GENERAL,
        frame=_in(r"tensorrt\w{0,20}/|polygraphy/|nvidia_tao_deploy/\S{0,80}(?:builder|inferencer|engine)"),
    ),
    row(
        "sample-is-none",
        "NoneType",
        r"^(?P<what>(?:Type|Attribute|Value)Error: [^\n]{0,160}\bNoneType\b[^\n]{0,80})",
        "a sample of the data could not be read: {what}",
        "an image, mask or label file is missing or unreadable: check the data paths of the spec; "
        "`taorunner dataset check --deep` reads every file",
        weight=Weight.GENERAL,
        frame=_DATA,
    ),
    row(
        "while-reading-data",
        _NEEDLES,
        _ANY,
        "reading the data failed: {what}",
        "`taorunner dataset check --deep` reads the whole dataset and names faulty files; check the data "
        "paths too",
        weight=Weight.GENERAL,
        frame=_DATA,
    ),
    row(
        "while-computing-loss",
        _NEEDLES,
        _ANY,
        "the loss could not be computed: {what}",
        "compare the labels with num_classes and the class mapping of the spec; for NaN outputs, lower the "
        "learning rate",
        weight=Weight.GENERAL,
        frame=_in(r"\w{0,40}(?:criterion|loss|losses|matcher|objective)\w{0,20}\.py"),
    ),
)
"""Also true of what was called from there."""

WHERE: tuple[Cause, ...] = (
    row(
        "while-reading-spec",
        _NEEDLES,
        _ANY,
        "the spec could not be read: {what}",
        "correct the spec; `taorunner validate` names most such places",
        weight=Weight.GENERAL,
        frame=_in(r"omegaconf/|hydra/|yaml/|google/protobuf/"),
    ),
    row(
        "while-running-engine",
        "[TRT]|[TensorRT]",
        r"\[(?:TRT|TensorRT)\] (?:\[E\] |(?:INTERNAL )?ERROR: )?(?:\d{1,2}: |Error\[\d{1,2}\]: "
        r")?(?P<what>[^\n]{0,120}(?:Error Code|Assertion"
        r"|failed|Cuda Error|FAILED_)[^\n]{0,140})",
        "TensorRT could not build or run the engine: {what}",
        "the lines before say more; build it again with gen_trt_engine of this release, on this GPU",
        weight=Weight.GENERAL,
    ),
    row(
        "while-processes-meet",
        _NEEDLES,
        _ANY,
        "the processes of the run could not work together: {what}",
        "look for what another rank printed before; try one GPU to see whether it fails there too",
        weight=Weight.GENERAL,
        frame=_in(r"torch/distributed/|horovod/"),
    ),
    row(
        "while-loading-weights",
        _NEEDLES,
        _ANY,
        "weights or a checkpoint could not be loaded: {what}",
        "the file may be incomplete, or of another network, backbone or release: check the path in the spec",
        weight=Weight.GENERAL,
        frame=_in(r"checkpoint_connector|\w{0,40}load_\w{0,20}(?:checkpoint|weights|state_dict)")
        + r"|in _?load_\w{0,40}(?:checkpoint|weights|state_dict|pretrained)\b",
    ),
    row(
        "optimiser-setting",
        "ValueError: |TypeError: ",
        r"^(?P<what>(?:Value|Type)Error: [^\n]{1,240})",
        "the optimiser refuses a value of the spec: {what}",
        "correct it in the section of the optimiser (train.optim: lr, weight_decay, momentum, betas)",
        weight=Weight.GENERAL,
        frame=r'File "[^"\n]{0,300}/torch/optim/\w{1,30}\.py", line \d{1,6}, in __init__\b',
    ),
    row(
        "while-updating-weights",
        _NEEDLES,
        _ANY,
        "the optimiser could not update the weights: {what}",
        "after a resume: the checkpoint has the state of another model or release; train again with it as "
        "pretrained weights",
        weight=Weight.GENERAL,
        frame=_in(r"torch/optim/|torch/cuda/amp/|torch/amp/|keras/\S{0,40}optimizers?"),
    ),
    row(
        "while-downloading",
        _NEEDLES,
        _ANY,
        "a download failed: {what}",
        "try again later; or download beforehand: HF_HOME on a mounted cache, or a local path of the weights "
        "in the spec",
        weight=Weight.GENERAL,
        frame=_in(
            r"huggingface_hub/|requests/|urllib3/|httpx/|httpcore/|urllib/request\.py|http/client\.py|"
            r"torch/hub\.py"
        ),
    ),
    *AROUND,
)
