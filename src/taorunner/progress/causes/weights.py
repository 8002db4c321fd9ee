"""Causes in weights, checkpoints and model keys."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

WEIGHTS: tuple[Cause, ...] = (
    row(
        "no-model-key",
        "without the encryption key|ncryption key|requires a key|key is required",
        r"without the encryption key|[Ee]ncryption key (?:is|was) (?:not|missing|required)"
        r"|(?:requires|needs) (?:an? )?(?:encryption |model )?key\b|[Kk]ey is required",
        "the weights are encrypted and no key was given",
        'set "model_key" of the experiment (encryption_key in the spec)',
    ),
    row(
        "wrong-model-key-or-cut-off",
        "check your key or delete",
        r"check your key or delete the latest",
        "the model key does not fit the weights, or the newest checkpoint is cut off",
        'check "model_key" of the experiment; else remove the newest .tlt and start again',
    ),
    row(
        "wrong-model-key",
        "nvalid decryption|model is incorrect|ecryption|ecrypt|model key|ncryption key|encoding key"
        "|parse MetaGraph"
        "|your key|assphrase|EFFError",
        r"Invalid decryption|key used to load the model is incorrect|(?:[Ww]rong|[Ii]ncorrect"
        r"|[Ii]nvalid|[Bb]ad)"
        r" (?:model |decryption |encryption )?(?:key\b|passphrase)|[Cc](?:annot|ould not|an't)(?: be)? decrypt"
        r"|[Dd]ecryption failed|check (?:your|the) (?:encryption |encoding |model )?key\b"
        r"|UffParser: Could not parse"
        r" MetaGraph|PassphraseError|\bEFFError",
        "the model key does not fit the weights",
        'check "model_key" of the experiment; public NGC models use nvidia_tlt or tlt_encode',
    ),
    row(
        "weights-not-trusted",
        "Weights only load failed|WeightsUnpickler|Unsupported global",
        r"Weights only load failed|WeightsUnpickler error|Unsupported global: GLOBAL",
        "PyTorch does not load this checkpoint unless it is trusted (weights_only)",
        'for a checkpoint of your own, set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 in "env"',
    ),
    row(
        "qat",
        "QAT",
        r"(?P<what>QAT (?:training )?is (?:disabled|enabled)[^\n]{0,80}QAT model|[^\n]{0,60}(?:is"
        r"|not) a QAT model)",
        "the spec and the weights do not agree about QAT: {what}",
        "set enable_qat in the spec as the weights were trained",
    ),
    row(
        "renamed-checkpoint",
        "Cannot parse the checkpoint path",
        r"Cannot parse the checkpoint path",
        "TAO reads the epoch from the name of the checkpoint, and this name has none",
        "give the file back the name that the training wrote, such as …_epoch_005.hdf5",
    ),
    row(
        "checkpoint-cut-off",
        "is not saved properly",
        r"checkpoint file is not saved properly",
        "the newest checkpoint in the results is cut off",
        "remove it, or start again with --overwrite; look whether the disk is full",
    ),
    row(
        "training-checkpoint",
        "Unexpected key(s) in state_dict",
        r"Unexpected key\(s\) in state_dict:[^\n]{0,400}\"(?:pytorch-lightning_version|optimizer_states)\"",
        "the file is a whole training checkpoint, and plain weights are read here",
        "name a file of weights; nvdinov2 writes them as student_epoch_….pth",
    ),
    row(
        "weights-do-not-fit",
        "size mismatch for|Missing key(s) in state_dict|Unexpected key(s) in state_dict",
        r"size mismatch for (?P<what>[\w.]{1,200})"
        r"|(?:Missing|Unexpected) key\(s\) in state_dict(?:: ?\"(?P<path>[\w.]{1,200})\")?",
        "the weights do not fit this model: {what}{path}",
        "check that backbone and number of classes are those the weights were trained with",
    ),
    row(
        "weights-do-not-fit",
        "Shape mismatch in layer|saved weight has shape|layers into a model|in pretrained model|not "
        "compatible with provided weight shape|Layer weight shape"
        "|pretrained model has",
        r"(?P<what>Shape mismatch in layer #\d{1,6} \(named [\w./-]{1,80}\)"
        r"|the saved weight has shape \([\d, ]{1,40}\)"
        r"|weight file containing \d{1,6} layers into a model with \d{1,6} layers"
        r"|[\w./-]{1,100} (?:has incorrect shape|not found) in (?:the )?pretrained model"
        r"|Layer weight shape [^\n]{1,80} not compatible)",
        "the weights belong to another architecture: {what}",
        "set arch, n_layers or backbone in the spec as the weights have them; a pruned model needs "
        "load_graph: true",
    ),
    row(
        "weights-of-another-release",
        "KeyError: '",
        r"KeyError: '(?P<what>[\w.]{1,200}\.(?:weight|bias|running_mean|running_var|gamma|beta))'",
        'the checkpoint lacks "{what}": another release or another model wrote it',
        "use a checkpoint of this release and model, or train from public weights",
    ),
    row(
        "not-to-resume-from",
        "KeyError: '",
        r"KeyError: '(?P<what>[\w.]{1,60})'",
        "training cannot be resumed from this checkpoint: the optimiser's state in it is of another version: "
        "{what}",
        "resume with the release that wrote it; or train again with it as pretrained weights",
        frame=r"torch/optim/",
    ),
    row(
        "weights-in-other-form",
        "KeyError: '",
        r"KeyError: '(?P<what>[\w.]{1,60})'",
        'the file of the weights or checkpoint has another form than this network reads: it lacks "{what}"',
        'name weights that this network and "release" wrote, or those of NVIDIA\'s example; check the path in the spec',
        frame=r"\n[^\n]{0,200}(?:torch\.load\([^\n]{0,160}\)|\b(?:checkpoint|ckpt|state_dict|loaded_state|state|weights)"
        r"\w{0,12})\[['\"]",
    ),
    row(
        "checkpoint-of-other-gpu",
        "torch.cuda.device_count() is",
        r"on CUDA device (?P<what>\d{1,4}) but torch\.cuda\.device_count\(\) is",
        "the checkpoint was saved on GPU {what} of a run with several GPUs, and there are fewer here",
        "give this run as many GPUs as the training had (gpu_indices, --gpus)",
    ),
    row(
        "ema-weights-missing",
        "associated EMA weights",
        r"Unable to find the associated EMA weights[^\n]{0,160}at: (?P<path>/\S{1,300})",
        'the EMA weights that belong to the checkpoint are missing: "{path}"',
        "put that file beside the checkpoint, or resume from another checkpoint",
    ),
    row(
        "not-to-resume-from",
        "only the model|parameter group|optimizer_states|KeyError: "
        "'state_dict'|lr_schedulers|pytorch-lightning_version",
        r"checkpoint contains only the model|loaded state dict (?:contains a parameter group"
        r"|has a different number of parameter groups)"
        r"|KeyError: '(?P<what>optimizer_states|lr_schedulers|state_dict|pytorch-lightning_version"
        r"|global_step)'",
        "training cannot be resumed from this checkpoint: it holds no training state, or another one: {what}",
        "resume from a checkpoint of the same training; use other weights as pretrained weights instead",
    ),
    row(
        "unreadable-weights",
        "invalid load key, '<'",
        r"invalid load key, '<'",
        "the weights cannot be read: the file is a web page, not the file that was requested",
        "download them again",
    ),
    row(
        "unreadable-weights",
        "invalid load key|UnpicklingError|failed reading zip|file signature not found|BadZipFile"
        "|not a zip file|truncated file|Ran out of input|HeaderToo|InvalidHeader|IncompleteMetadata"
        "|central directory"
        "|SafetensorError|nexpected EOF|wrong byte size|was truncated|PytorchStreamReader|bad object header",
        r"invalid load key|UnpicklingError|failed reading zip archive|file signature not found"
        r"|BadZipFile|File is not a zip file|EOFError: Ran out of input|failed finding central directory"
        r"|Unable to (?:synchronously )?open file \((?:truncated file|bad object header)"
        r"|PytorchStreamReader failed"
        r"|SafetensorError[^\n]{0,60}(?:Header|Metadata)|[Uu]nexpected EOF, expected|storage has wrong byte "
        r"size"
        r"|pickle data was truncated",
        "the weights cannot be read: damaged, incomplete or encrypted with another key",
        "download them again (Git: git lfs pull) or use another checkpoint, and check the model key",
    ),
)
