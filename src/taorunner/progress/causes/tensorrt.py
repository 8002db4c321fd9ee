"""Causes in ONNX files and TensorRT engines."""

from __future__ import annotations

from taorunner.progress.causes.cause import BARE_PATH, Cause, row

_BUILD = "build it again with gen_trt_engine of this release, on this GPU"

TENSORRT: tuple[Cause, ...] = (
    row(
        "engine-other-gpu",
        "incompatible device|ncompatible with this device|different GPU|different platform|latform",
        r"engine plan file is generated on an incompatible device|incompatible with this (?:device"
        r"|platform|GPU)"
        r"|engine was (?:built|generated) (?:on|for) (?:a )?(?:different|another) (?:GPU|platform|device)"
        r"|[Pp]latform[^\n]{0,60}mismatch|built for a different platform"
        r"|expecting compute [\d.]{1,6} got compute",
        "the TensorRT engine was built on another kind of GPU",
        _BUILD,
    ),
    row(
        "engine-other-version",
        "ersion tag|Engine Version|version of TensorRT|library version|stdVersionRead|incompatible version"
        "|Mismatch between allocated memory size",
        r"[Vv]ersion tag does not match|Serialized Engine Version|not compatible with this version of TensorRT"
        r"|expecting library version|stdVersionRead|incompatible version of TensorRT"
        r"|Mismatch between allocated memory size and expected size of serialized engine",
        "the TensorRT engine was built with another version of TensorRT",
        _BUILD,
    ),
    row(
        "engine-unreadable",
        "agic tag|magicTagRead|deserializ|Engine file loading failed|NoneType|Deserialization",
        r"[Mm]agic tag|magicTagRead|Engine deserialization failed|deserializeCudaEngine"
        r"|Engine file loading failed"
        r"|'NoneType' object has no attribute '(?:create_execution_context|num_bindings|num_io_tensors|"
        r"get_binding_\w{1,20}"
        r"|get_tensor_\w{1,20}|num_optimization_profiles|max_batch_size)'",
        "the TensorRT engine cannot be loaded: it is damaged, or was built with another TensorRT or GPU",
        _BUILD,
    ),
    row(
        "engine-not-built",
        "has no attribute 'serialize'",
        r"'NoneType' object has no attribute 'serialize'",
        "TensorRT built no engine",
        "its lines before say why; export the model again with this release, or give the GPU more free memory",
    ),
    row(
        "onnx-data-missing",
        "onnx|ONNX|WeightsContext|external data",
        r"(?:WeightsContext|[Ff]ailed to open file|[Cc]annot open|No such file|[Ee]xternal data)[^\n]{0,120}?"
        r"(?P<bare>/[^\s'\";:,()\[\]]{1,300}(?:\.data|_data|\.weights?)(?![\w/]))",
        'the data file that belongs to the ONNX file is missing: "{path}"',
        "keep it beside the .onnx file, in the same folder and under the same name",
    ),
    row(
        "engine-fixed-batch",
        "does not match network definition|expected min=opt=max|inding dimension|tatic dimension|ynamic shape"
        "|optimization profile|Set dimension",
        r"in profile \d{1,4} does not match network definition|expected min=opt=max"
        r"|[Ss]tatic dimension mismatch"
        r"|supplied binding dimension|Set dimension \[|does not satisfy any optimization profiles"
        r"|no optimization profile has been defined",
        "the batch or input size asked for is not one that the ONNX file or engine was made for",
        "set the batch sizes of gen_trt_engine to it, or export again with export.batch_size -1 for any "
        "batch_size",
    ),
    row(
        "engine-fixed-batch",
        "IOptimizationProfile::setDimensions|std::all_of(dims",
        r"IOptimizationProfile::setDimensions|condition: std::all_of\(dims",
        "TensorRT got a size below 0 for an input: the ONNX file leaves it open, and the spec does not set it",
        "set the batch sizes of gen_trt_engine and its input size, or export again with a fixed size",
    ),
    row(
        "engine-input-size",
        "could not broadcast input array|cuMemcpy|cudaMemcpy",
        r"(?P<what>could not broadcast input array from shape \(\d{1,12},\) into shape \(\d{1,12},\)"
        r"|cu(?:da)?Memcpy\w{1,20}(?: failed)?: invalid (?:argument|value))",
        "the input has another size than the TensorRT engine was built for: {what}",
        "use the batch size and the input size of the engine, or " + _BUILD,
        frame=r"inferenc|infer|engine|trt|calibrat",
    ),
    row(
        "engine-not-executed",
        "enqueueV3: Error Code|Runner Execute Failure",
        r"enqueueV3: Error Code|Runner Execute Failure",
        "the TensorRT engine did not run on this input: what was predicted is wrong or missing",
        "use images of the size that the engine was built for (each side a multiple of 32), or build it with a "
        "static size",
    ),
    row(
        "onnx-weights-missing",
        "Failed to open file|external data|data_location",
        r"Failed to open file: ?(?P<path>[^\s'\"]{1,300})|"
        r"(?:external data|data_location)[^\n]{0,80}(?:not found|does not exist|no such file|doesn't exist)",
        "the weights of the ONNX file are in a second file, which is not there{of_path}",
        "keep both files together in one folder (model.onnx and model.onnx.data), or export again",
    ),
    row(
        "layer-unknown",
        "No importer registered|lugin not found|find plugin|No Plugin",
        r"(?:No importer registered for op:|could not find plugin:?) (?P<path>\w{1,80})|[Pp]lugin not found",
        "TensorRT does not know a layer of this model, it lacks the plugin{of_path}",
        "build the engine with the TAO Deploy image, which holds TAO's plugins",
    ),
    row(
        "onnx-data-type",
        "nsupported datatype|nsupported data type|nsupported ONNX data type",
        r"[Uu]nsupported (?:ONNX )?data ?type:? ?\(?(?P<what>\w{1,12})",
        "the ONNX file holds a data type that TensorRT does not take: {what}",
        'export it again with this release, or build the engine with a newer "release"',
    ),
    row(
        "text-engine",
        "Text engine not loaded",
        r"Text engine not loaded",
        "the text engine is missing beside the vision engine",
        "build it with gen_trt_engine into the same folder (…_text.engine)",
    ),
    row(
        "engine-inputs",
        "IndexError: Out of bounds",
        r"IndexError: Out of bounds",
        "this deploy image cannot build an engine for a model with such inputs",
        'use a newer "release" of TAO Deploy',
        frame=r"nvidia_tao_deploy/[^\n]{0,80}builder",
    ),
    row(
        "engine-no-memory",
        "Could not find any implementation|insufficient to use tactic|kSPACE|workspace|Assertion engine failed"
        "|memSize",
        r"Could not find any implementation for node|[Ii]nsufficient (?:workspace|memory)[^\n]{0,60}tactic"
        r"|TACTIC_MEMORY|exceeds? (?:the )?workspace|Assertion engine failed|Assertion memSize >= 0 failed",
        "TensorRT found no way to build this engine, most often for lack of GPU memory",
        "raise gen_trt_engine.tensorrt.workspace_size, or use a GPU with more memory",
    ),
    row(
        "calibration-images",
        "number of images provided|calibration images|cal_data_file|cal_image_dir|alibration|alibrator",
        r"(?P<what>(?<=Not enough number of images provided: )\d{1,9} < \d{1,9}"
        r"|Number of calibration images \(\d{1,9}\) should be larger than batches \* batch_size \(\d{1,12}\))"
        r"|(?P<path>cal_data_file or cal_image_dir must be provided)"
        r"|[Cc]alibration (?:failure|failed)|no scaling factors",
        "INT8 calibration has too few images: {what}{path}",
        "give more images (cal_image_dir, or cal_data_file), or lower cal_batches and cal_batch_size",
    ),
    row(
        "opset",
        "opset",
        r"(?P<what>(?:[Uu]nsupported ONNX opset|[Ee]xporting the operator [^\n]{1,100}|[^\n]{0,40}ONNX opset) ?"
        r"version:? ?\d{1,3}[^\n]{0,40})",
        "the model cannot be exported with this opset: {what}",
        "set export.opset_version to a higher one, for example 17",
    ),
    row(
        "export-size",
        "INTERNAL ASSERT FAILED at",
        r"INTERNAL ASSERT FAILED at \"[^\"\n]{1,200}passes/onnx/",
        "PyTorch cannot export this model at the input size of the spec",
        "set export.input_height and export.input_width to the size that the model was trained with",
    ),
    row(
        "export-size",
        "must match the size of tensor|Shape mismatch",
        r"(?P<what>[Tt]he size of tensor a \(\d{1,12}\) must match the size of tensor b \(\d{1,12}\))",
        "the input size is not the one that the model was built for: {what}",
        "keep input_height and input_width (of export, evaluate or inference) at the trained size",
        frame=r"encoder|embed|export|onnx|position|vit|radio|backbone",
    ),
    row(
        "torch-internal",
        "INTERNAL ASSERT FAILED",
        r"INTERNAL ASSERT FAILED",
        "a fault inside PyTorch, rather than of spec or data",
        'use another "release", or other sizes and fewer GPUs; the lines before it show what ran',
    ),
    row(
        "int8-failed",
        "quantiz|DynamicRange|HostScale|calibrat|Calibrat",
        r"(?:quantization\.cpp|quantize\w{0,20}|DynamicRange|getInputHostScale"
        r"|[Cc]alibrat\w{0,10}\.c(?:pp|u))[^\n]{0,60}(?:Error Code|Cuda Error)",
        "TensorRT cannot put a part of this model into INT8",
        "set gen_trt_engine.tensorrt.data_type to fp16, or calibrate with other images (cal_image_dir) "
        "without the old cache",
    ),
    row(
        "layer-unknown",
        "has no runners that implement it",
        r"failed\. /?(?P<path>[\w./]{1,100}) has no runners that implement it",
        "TensorRT here cannot run a layer of this model{of_path}",
        "build the engine with the TAO Deploy image of the release that exported it",
    ),
    row(
        "tensorrt-check",
        "nvinfer1::",
        r"nvinfer1::[^\n]{1,300}Assertion [`'](?P<what>[^`'\n]{1,120})' failed",
        "TensorRT stopped at a check of its own: {what}",
        "the engine or its input is not what it expects: build it again with this release, with the input "
        "size of the export",
    ),
    row(
        "onnx-too-new",
        "IR version|ir_version",
        r"(?P<what>Unsupported model IR version: \d{1,4}, max supported IR version: \d{1,4})|ir_version is "
        r"higher than"
        r" the checker's",
        "the ONNX file is of a newer ONNX than this image reads: {what}",
        'use the same "release" for export and for this, or a newer one here',
    ),
    row(
        "onnx-is-a-text",
        "ModelProto",
        r"[Pp]arsing text-format [\w.]{1,60}ModelProto|Message type \"onnx[\w.]{0,40}ModelProto\" has no field",
        "the file that should be ONNX is a text: a web page, or a Git LFS pointer",
        "download the model itself (git lfs pull), or export it again",
    ),
    row(
        "no-outputs",
        "must have at least one output|Network has no outputs",
        r"must have at least one output|Network has no outputs",
        "TensorRT could not read the ONNX file: no part of the model is left",
        "the lines before say why; export it again with this release",
    ),
    row(
        "layer-unknown",
        "UNSUPPORTED_NODE",
        r"operator: (?P<path>\w{1,60}) \([^\n]{1,60}UNSUPPORTED_NODE|UNSUPPORTED_NODE",
        "TensorRT does not know a layer of this model{of_path}",
        "build the engine with the TAO Deploy image of the release that exported it; export with "
        "opset_version 17",
    ),
    row(
        "onnx-invalid",
        "checker.ValidationError",
        r"checker\.ValidationError: (?P<what>[^\n]{1,200})",
        "the ONNX file is not valid: {what}",
        "check that the spec names the exported .onnx file itself; export it again with this release",
    ),
    row(
        "onnx-too-large",
        "maximum protobuf size|2GiB limit|larger than 2G",
        r"exceeds maximum protobuf size of 2GB|exceeds? (?:the )?2Gi?B limit|larger than 2Gi?B",
        "the model is larger than the 2 GB that one ONNX file can hold",
        'export a smaller model, or use a newer "release", which keeps the weights in a file beside it '
        "(external data)",
    ),
    row(
        "onnx-unreadable",
        "ONNX|onnx|INVALID_PROTOBUF|protobuf.message.DecodeError",
        r"(?:[Ff]ailed to (?:load|parse|read)|[Cc]ould ?n[o']t (?:load|parse|read)|[Uu]nable to (?:load"
        r"|parse|read))"
        r" (?:the )?(?:ONNX|onnx)[^\n/]{0,40}(?:"
        + BARE_PATH
        + r")?|INVALID_PROTOBUF|google\.protobuf\.message\.DecodeError|ModelProto does not have a graph"
        r"|onnx[^\n]{0,60}(?:Protobuf parsing failed|Error parsing message)",
        "the ONNX file cannot be read{of_path}",
        "export it again, and check the path in gen_trt_engine.onnx_file",
    ),
)
