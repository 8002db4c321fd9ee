"""Causes in a model and its input: sizes, number formats, devices, and NaN."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

_COLLATE = r"collate"

MODEL: tuple[Cause, ...] = (
    row(
        "point-cloud-empty",
        "launch blocks must be positive",
        r"launch blocks must be positive, but got N= ?0",
        "a point cloud has no points within the range of the spec{at_epoch}",
        "compare point_cloud_range with the point clouds (x, y, z in metres), and leave empty clouds out",
    ),
    row(
        "images-of-unequal-size",
        "resize storage that is not resizable|list of batch should be of equal size|resizing storage",
        r"Trying to resize storage that is not resizable|each element in list of batch should be of equal size",
        "the samples of one batch have different sizes",
        "`taorunner dataset resize` gives all images one size; annotations of each image must have the same "
        "form",
        frame=_COLLATE,
    ),
    row(
        "nothing-to-train",
        "does not require grad|empty parameter list",
        r"element \d{1,3} of tensors does not require grad|optimizer got an empty parameter list",
        "no part of the model is trained: everything is frozen",
        "freeze less in the spec (freeze_at, freeze_backbone, frozen_param_groups)",
    ),
    row(
        "not-compiled",
        "torch._dynamo|torch._inductor|BackendCompilerFailed|C compiler",
        r"(?:torch\._(?:dynamo|inductor)\.exc\.\w{1,40}: |RuntimeError: )(?:backend='\w{1,20}' raised:? "
        r"?)?(?P<what>[^\n]{1,220})",
        "PyTorch could not compile the model on this machine (torch.compile): {what}",
        'set TORCHDYNAMO_DISABLE=1 in "env": it runs without compiling, only slower',
        frame=r"/torch/_(?:dynamo|inductor)/|/triton/",
    ),
    row(
        "image-kind-not-written",
        "cannot write mode",
        r"cannot write mode (?P<what>\w{1,8} as \w{1,8})",
        "an image cannot be written: {what}",
        "save the images of the dataset as RGB, without transparency",
    ),
    row(
        "backward-once",
        "mark a variable ready only once",
        r"Expected to mark a variable ready only once",
        "with several GPUs, a parameter of the model was used twice in one step",
        "set train.activation_checkpoint: false, or train on one GPU",
    ),
    row(
        "image-channels",
        "tuple index out of range|expected 3, got 2",
        r"(?P<what>tuple index out of range|not enough values to unpack \(expected 3, got 2\))",
        "an image is greyscale where one with three channels is expected: {what}",
        "save all images as RGB; `taorunner dataset check` shows the kind of each image",
        frame=r"\n[^\n]{0,120}\.shape(?:\[(?:2|-1)\]|$)",
    ),
    row(
        "image-smaller-than-crop",
        "empty range |low >= high|high <= 0|rop size",
        r"empty range (?:for|in) randrange(?:\(\))? ?\(-?\d{1,9}, -\d{1,9}"
        r"|(?P<what>(?:[Rr]equired |[Rr]equested )?[Cc]rop size[^\n]{0,60} larger than[^\n]{0,80})",
        "an image is smaller than the crop that the spec asks for: {what}",
        "use a smaller crop or size in the spec, or larger images (`taorunner dataset resize`)",
    ),
    row(
        "image-smaller-than-crop",
        "low >= high|high <= 0",
        r"low >= high|high <= 0",
        "an image is smaller than the crop that the spec asks for",
        "use a smaller crop or size in the spec, or larger images (`taorunner dataset resize`)",
        frame=r"crop|transform|augment|pipeline",
    ),
    row(
        "samples-of-unequal-form",
        "stack expects each tensor to be equal size",
        r"stack expects each tensor to be equal size, but got (?P<what>\[[\d, ]{0,40}\] at entry 0 and \[[\d, "
        r"]{0,40}\] at entry 1)",
        "the samples of one batch have labels of different number or length: {what}",
        "`taorunner dataset check` looks at the annotations, each of which must have the same form; a batch "
        "size{batch_key} "
        "of 1 avoids it",
    ),
    row(
        "nothing-left",
        "with no elements|zero-size array|non-zero size|tensor of 0 elements|numel() == 0|of an empty sequence",
        r"(?P<what>on tensor with no elements|reshape tensor of 0 elements|for input\.numel\(\) == 0"
        r"|get arg(?:max|min) of an empty sequence|zero-size array to reduction operation|[Ee]xpected reduction "
        r"dim \d{1,3} to have "
        r"non-zero size)",
        "nothing was left to compute with, such as no box of an image, or no prediction: {what}",
        "leave out images without labels, compare the classes of labels and spec; when evaluating, train "
        "longer or lower the "
        "score threshold",
    ),
    row(
        "sample-missing",
        "default_collate: batch must contain",
        r"default_collate: batch must contain [^\n]{1,120}found (?P<what>[^\n]{1,60})",
        "a sample of the dataset could not be read, its reader gave {what}",
        "`taorunner dataset check --deep` reads every image and label, and names the faulty ones",
    ),
    row(
        "image-channels",
        "doesn't match the broadcast shape|broadcast input array from shape|to have value 3 but received"
        "|must match the size of tensor|operands could not be broadcast",
        r"(?P<what>operands could not be broadcast together with shapes (?:\(\d{1,6},\d{1,6}\)|"
        r"\(\d{1,6},\d{1,6},4\)) \(3,\)"
        r"|output with shape \[1, [\d, ]{1,30}\] doesn't match the broadcast shape \[3, [\d, ]{1,30}\]"
        r"|could not broadcast input array from shape \([\d, ]{1,40}\) into shape \((?:[134], ?[\d, ]{1,40}|"
        r"[\d, ]{1,40}, ?[134])\)"
        r"|expected axis -1 of input shape to have value \d{1,6} but received input with shape [^\n]{1,60}"
        r"|[Tt]he size of tensor a \([134]\) must match the size of tensor b \([134]\) at non-singleton "
        r"dimension 0)",
        "an image has another number of channels than the model: {what}",
        "save all images as RGB, or as greyscale for a model of one channel",
    ),
    row(
        "nan-loss",
        "returned nan values|tensor([[nan|became infinite or NaN|inf or NaN|not finite|Non-finite|isnan|is not finite",
        r"returned nan values in its|got tensor\(\[\[nan|[Ll]oss (?:became|is) (?:infinite or NaN|not finite)"
        r"|inf or NaN values in gradients"
        r"|[Nn]on-finite (?:loss|gradient)|gradient[^\n]{0,20} is not finite",
        "the loss became NaN{at_epoch}",
        "use a lower learning rate, and check labels and pretrained weights",
    ),
    row(
        "mixed-precision",
        "expected scalar type|HalfTensor|BFloat16|'Half'|same dtype|to have the same dtype",
        r"(?P<what>expected scalar type \w{1,20} but found \w{1,20}"
        r"|Input type \([\w.]{1,40}\) and (?:weight|bias) type \([\w.]{1,40}\) should be the same"
        r"|\"[\w.]{1,60}\" not implemented for '\w{1,20}'"
        r"|expected m\w{0,4}1 and m\w{0,4}2 to have the same dtype[^\n]{0,80}|must have the same "
        r"dtype[^\n]{0,60})",
        "parts of the model compute in different number formats: {what}",
        'set train.precision to fp32 in the spec (also amp off), or use another "release"',
    ),
    row(
        "number-types",
        "Expected object of |input dtype should be|expected backend |should be of type |expected dtype ",
        r"(?P<what>Expected object of (?:scalar )?type [\w.]{1,40} but (?:got|found) [\w ]{0,16}type "
        r"[\w.]{1,40}[^\n]{0,60}"
        r"|expected backend [^\n]{1,100}|\w{1,40}\(\): input dtype should be [^\n]{1,100}"
        r"|[Ee]xpected dtype \w{1,20} but got[^\n]{1,60})",
        "numbers of two types meet in the code: {what}",
        'the labels may hold numbers of another type than the loss takes; else use another "release": its '
        "code and its "
        "PyTorch do not fit together",
    ),
    row(
        "bfloat16",
        "bfloat16|bf16",
        r"(?:does not support bfloat16|bfloat16 is not supported|bf16 (?:is )?not supported"
        r"|Bfloat16 is only supported)",
        "this GPU cannot compute in bfloat16",
        "set train.precision to fp16 or fp32 in the spec, or use a GPU of the Ampere generation or newer",
    ),
    row(
        "two-devices",
        "at least two devices|same device|Received cuda",
        r"at least two devices, (?P<what>[\w:]{1,20} and [\w:]{1,20})|be on the same device\. Received "
        r"(?P<path>[\w:]{1,20} and [\w:]{1,20})|[Ii]nput and (?:hidden"
        r"|parameter) tensors are not"
        r" at the same device",
        "parts of the model are on different devices: {what}{path}",
        'use one GPU, or another "release": a fault of the code rather than of spec or data',
    ),
    row(
        "input-too-small",
        "an't be greater than actual input size|Negative dimension size|Padding size should be less"
        "|output size is too small|Output size is too small",
        r"Kernel size can't be greater than actual input size|Negative dimension size caused by"
        r"|Padding size should be less than the corresponding input dimension|[Oo]utput size is too small",
        "the input size is too small for this model",
        "raise input width and height in the spec, or the crop size; small images need resizing",
    ),
    row(
        "input-size",
        "is not divisible by|not a multiple of|should be divisible by|must be divisible by|must be a "
        "multiple of"
        "|should be a multiple of",
        r"(?P<what>(?:[Ii]nput|[Ii]mage|[Hh]eight|[Ww]idth|[Cc]rop|[Ss]ize)[^\n]{0,80}?"
        r"(?:(?:not|be|is) divisible by|(?:not|be) (?:a )?multiples? of)[^\n]{1,60})",
        "the input size of the spec does not fit this model: {what}",
        "change width and height in the spec (the size of training, evaluation and export is one)",
    ),
    row(
        "images-of-unequal-size",
        "Sizes of tensors must match except",
        r"Sizes of tensors must match except in dimension \d{1,3}\. (?:Expected size|Got) "
        r"(?P<what>[^\n]{1,60}?)(?= in the list|$)",
        "images or masks of one batch have different sizes: {what}",
        "`taorunner dataset resize` gives all of them one size; else set the size of the input in the spec",
        frame=r"torch\.(?:cat|stack)\([^\n]{0,120}\bfor \w{1,20} in (?:targets|batch|samples|gts?|labels)\b",
    ),
    row(
        "feature-sizes",
        "Sizes of tensors must match except",
        r"Sizes of tensors must match except in dimension \d{1,3}\. (?P<what>(?:Expected size"
        r"|Got) [^\n]{1,100}?)(?= in the list|$)",
        "feature maps of different sizes meet in the model: {what}",
        "use an input width and height that are multiples of 32 (for some backbones 64)",
    ),
    row(
        "class-count",
        "shapes cannot be multiplied|incompatible with the layer",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<what>[\dx and]{1,60})\)",
        "two layers of the model do not fit together: {what}",
        "compare backbone, feature sizes and number of classes of the spec with the weights that are loaded",
    ),
    row(
        "cudnn-failed",
        "CUDNN_STATUS",
        r"CUDNN_STATUS_(?P<what>BAD_PARAM|NOT_SUPPORTED)",
        "cuDNN refused an operation of the model ({what})",
        'use a smaller batch size{batch_key} or train.precision fp32; else another "release"',
    ),
    row(
        "extension-without-gpu",
        "Not compiled with GPU support|Not implemented on the CPU|not implemented on cpu|Not implement on cpu",
        r"Not compiled with GPU support|[Nn]ot implement(?:ed)? on (?:the )?(?:CPU|cpu)",
        "an operation of this model exists for GPUs only, or was built without them",
        'run on a GPU, with the image of this "release"; `nvidia-smi` must work in the container',
    ),
    row(
        "input-missing",
        "find data adapter|Sample larger than population|larger sample than population",
        r"find data adapter that can handle input|[Ss]ample larger than population|larger sample than "
        r"population",
        "the dataset has fewer samples than are drawn from it, or none",
        "check the data paths of the spec, and that each class has images",
    ),
    row(
        "tensorflow-checkpoint",
        "not found in checkpoint|shapes of both tensors to match",
        r"Key (?P<what>[\w./-]{1,120}) not found in checkpoint|Assign requires shapes of both tensors to match",
        "the checkpoint in the results does not fit this model: {what}",
        "it is of another spec: train again with --overwrite, or name other pretrained weights",
    ),
)
