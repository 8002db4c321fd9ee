"""Causes in the spec, the command line and the environment of the launch."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

SPEC: tuple[Cause, ...] = (
    row(
        "spec-rejected",
        "has no field named|ParseError",
        r"(?:(?P<line>\d{1,9}):\d{1,9} ?: ?)?Message type \"(?!onnx)(?P<path>[\w.]{1,200})\" has no field"
        r" named \"(?P<what>[^\"\n]{1,200})\"",
        'the spec has an unknown field "{what}" in "{path}"{at_line}',
        "correct the field in the spec file; `taorunner validate` shows its place",
    ),
    row(
        "spec-syntax",
        "ParseError",
        r"text_format\.ParseError: (?:(?P<line>\d{1,9}):\d{1,9} ?: ?)?(?P<what>[^\n]{1,200})",
        "the spec cannot be parsed: {what}{at_line}",
        "correct the spec file; `taorunner validate` shows the place",
    ),
    row(
        "yaml-syntax",
        "yaml.scanner|yaml.parser|yaml.composer|yaml.constructor|yaml.reader",
        r"yaml\.(?:scanner|parser|composer|constructor|reader)\.\w{1,30}(?:: (?P<what>[^\n]{1,200}))?"
        r"(?:[\s\S]{0,600}?\"(?P<path>/[^\"\n]{1,300})\", line (?P<line>\d{1,9}))?",
        "the spec is not valid YAML: {what}{at_line}",
        "correct the spec file; `taorunner validate` shows the place",
    ),
    row(
        "key-left-out",
        "is not in struct",
        r"Key '(?P<what>[^'\n]{1,200})' is not in struct(?:\n\s{1,20}full_key: (?P<path>\S{1,200}))?",
        'the spec lacks "{what}"{at_path}, which this action reads',
        "set it as in NVIDIA's example of this release; `taorunner networks` shows what this network knows",
        frame=r'^File "(?![^"\n]{0,300}/(?:omegaconf|hydra)/)[^"\n]{1,300}"[^\n]{0,160}\n[^\n]{0,200}\b'
        r"(?:cfg|\w{0,30}config|\w{0,30}spec)\w{0,10}(?:\.|\[)",
    ),
    row(
        "unknown-spec-key",
        "not in struct|' not in '|Could not override|full_key:|Key '",
        r"Key '(?P<what>[^'\n]{1,200})' (?:is not in struct|not in '[^'\n]{1,200}')|Could not"
        r" override '(?P<path>[^'\n]{1,200})'",
        'the spec has an unknown key "{what}{path}"',
        "correct or remove the key; `taorunner networks` shows what this network knows",
    ),
    row(
        "spec-value",
        "could not be converted|issing mandatory value|nterpolation|Invalid value|Incompatible value"
        "|is not Optional",
        r"(?P<what>Value '[^'\n]{0,200}'(?: of type '[^'\n]{1,80}')? could not be converted to \w{1,40}"
        r"|Missing mandatory value: [^\n]{1,200}|Interpolation key '[^'\n]{1,200}' not found"
        r"|Incompatible value '?None'? for field[^\n]{0,100}|field '[^'\n]{1,100}' is not Optional"
        r"|Error trying to access [\w.]{1,120}: node [\w.]{1,120} is not a container"
        r"|Invalid value '[^'\n]{1,200}', expected one of [^\n]{1,200})(?:\n\s{1,20}full_key: "
        r"(?P<path>\S{1,200}))?",
        "the spec has a wrong value{at_path}: {what}",
        "correct the value in the spec file",
    ),
    row(
        "override-append",
        "Could not append to config",
        r"Could not append to config\. An item is already at '(?P<what>[^'\n]{1,120})'",
        'the override "+{what}" adds a key that the spec already has',
        "write it without the plus sign",
    ),
    row(
        "spec-not-found",
        "MissingConfigException",
        r"MissingConfigException: (?P<what>[^\n]{1,200})",
        "a part of the spec was not found: {what}",
        "check the path of the spec file and the mounts; remove a defaults list from the spec",
    ),
    row(
        "spec-value",
        "omegaconf.errors.",
        r"omegaconf\.errors\.\w{1,40}: (?P<what>[^\n]{1,200})(?:\n\s{1,20}full_key: (?P<path>\S{1,200}))?",
        "the spec has a wrong value{at_path}: {what}",
        "correct the value in the spec file; `taorunner validate` names most such places",
    ),
    row(
        "monitored-value-missing",
        "monitored key|conditioned on metric|onitor=",
        r"(?:monitor=['\"](?P<what>[\w./@-]{1,60})['\"]\)?`? could not find|could not find the monitored key"
        r"|conditioned on metric `(?P<path>[\w./@-]{1,60})` which is not available)",
        'no validation computed the metric "{what}{path}", which decides on checkpoints or the end of the '
        "training",
        "set train.validation_interval to train.num_epochs or less, so that there is a validation",
    ),
    row(
        "override-syntax",
        "mismatched input|extraneous input|no viable alternative|token recognition error"
        "|LexerNoViableAlt|OverrideParse",
        r"mismatched input|extraneous input|no viable alternative at input|token recognition error"
        r"|OverrideParseException|LexerNoViableAlt",
        "a command line override cannot be parsed",
        "write overrides as key=value without blanks or quotes; lists as [0,1]",
    ),
    row(
        "spec-not-found",
        "primary config",
        r"(?:Cannot find|Could not (?:find|load)|Primary config (?:directory"
        r"|module)) (?:primary config )?'?(?P<what>[^'\n]{1,200})'?",
        'the spec "{what}" is not where the container looks for it',
        "check the path of the spec file and the mounts",
    ),
    row(
        "job-id-set",
        "microservices_log",
        r"(?P<what>/results/[^'\n]{0,200}microservices_log\.txt)",
        'JOB_ID is set in the environment, so TAO writes to "{what}"',
        "unset JOB_ID (Grid Engine sets it) before a run of the local backend",
    ),
    row(
        "empty-number",
        "with base 10: ''",
        r"(?P<what>invalid literal for int\(\) with base 10: '')",
        "{what}: a list or number of GPUs is empty",
        "no GPU may be visible (`nvidia-smi`), or WORLD_SIZE or NUM_GPU_PER_NODE is set in the "
        "environment: unset it",
    ),
    row(
        "empty-path",
        "not NoneType|got None",
        r"expected str, bytes or os\.PathLike object, not NoneType"
        r"|path should be string, bytes, os\.PathLike or integer, not NoneType",
        "a path of the spec is empty that this action needs",
        "set the checkpoint, data or results path; `taorunner validate` names keys that are missing",
    ),
    row(
        "key-left-out",
        "'NoneType' object has no attribute",
        r"'NoneType' object has no attribute '(?:keys|items|values|get)'",
        'the spec lacks "{what}", which this action reads',
        "set it as in the spec of the training",
        frame=r"(?:config|cfg|spec)\w{0,30}(?:\[['\"]\w{1,60}['\"]\]|\.\w{1,60}){0,4}"
        r"(?:\[['\"]|\.)(?P<what>\w{1,60})(?:['\"]\])?\.(?:keys|items|values|get)\b",
    ),
    row(
        "number-as-text",
        "'str'| str|and str",
        r"(?P<what>'(?:<|<=|>|>=)' not supported between instances of '(?:(?:int|float)' and 'str|str' and "
        r"'(?:int|float))'"
        r"|unsupported operand type\(s\) for [^\n:]{1,12}: '(?:(?:int|float)' and 'str|str' and '(?:int|"
        r"float))'"
        r"|must be real number, not str)",
        "a text is where a number is expected: {what}",
        "write numbers of the spec without quotes, and small ones with a point: 1.0e-4, because YAML reads "
        "1e-4 as a text",
    ),
    row(
        "override-into-null",
        "Unexpected type for root",
        r"Unexpected type for root: NoneType",
        "an override sets a key in a section of the spec that is empty (null)",
        "write the whole section into the spec file instead",
    ),
    row(
        "precision-name",
        "Precision '",
        r"Precision '(?P<what>[^'\n]{1,40})' is invalid",
        'the precision "{what}" of the spec is not one that this release knows',
        'set train.precision to "32", "16-mixed" or "bf16-mixed"',
    ),
    row(
        "precision",
        "precision is supported|INT8 is not supported|int8 is not supported|precision is not supported"
        "|recision not supported",
        r"(?P<what>(?:Only \w{1,12} precision is supported|(?:INT8|int8|FP16|fp16"
        r"|BF16) is not supported[^\n]{0,80}))",
        "the precision of the spec is not supported here: {what}",
        "set the precision in the spec (train.precision, gen_trt_engine's data type) to one that is: "
        "fp32, often fp16",
    ),
    row(
        "lr-policy",
        "interval'|'scheduler'|'lr_scheduler'|lr_policy",
        r"UnboundLocalError[^\n]{0,60}'(?P<what>interval|scheduler|lr_scheduler)'",
        'the learning rate policy of the spec is unknown ("{what}" was never set)',
        "use another train.optim.policy (or lr_scheduler)",
    ),
    row(
        "scheduler-unknown",
        "schedulers are supported",
        r"Only \[(?P<what>[\w, '\"-]{1,160})\] schedulers are supported",
        "the learning rate scheduler of the spec is unknown; there are {what}",
        "set train.optim.lr_scheduler (or policy) to one of them",
    ),
    row(
        "backbone-unknown",
        "Unknown model (",
        r"Unknown model \((?P<what>[\w./-]{1,100})\)",
        'there is no backbone "{what}" in this release',
        "correct model.backbone (or model.backbone.type) in the spec",
    ),
    row(
        "text-length",
        "shapes cannot be multiplied",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<what>[\dx and]{1,60})\)",
        "texts and labels have different lengths: {what}",
        "restore model.max_text_len (256), the length that the maps of the labels have",
        frame=r"grounding_dino/model/post_process",
    ),
    row(
        "already-trained",
        "You restored a checkpoint with current_epoch",
        r"restored a checkpoint with current_epoch=(?P<what>\d{1,6})",
        "the checkpoint already has {what} epochs, more than the spec asks for",
        "raise train.num_epochs above that, or train again with --overwrite",
    ),
    row(
        "workers-zero",
        "persistent_workers option|prefetch_factor option",
        r"(?P<what>persistent_workers|prefetch_factor) option (?:needs|could only be specified)",
        "without loader workers this network cannot read its data ({what})",
        "set dataset.workers (or num_workers) to 1 or more",
    ),
    row(
        "unused-parameters",
        "finished reduction in the prior iteration|not used in producing the loss",
        r"finished reduction in the prior iteration|parameters that were not used in producing the loss",
        "with several GPUs, parameters of the model take no part in the loss, which is not allowed here",
        "set train.activation_checkpoint: false with train.distributed_strategy: ddp, or train on one GPU",
    ),
    row(
        "too-many-partitions",
        "Check the number of partitions",
        r"Check the number of partitions",
        "the dataset has fewer images or sequences than num_partitions",
        "lower num_partitions in the spec of dataset_convert",
    ),
    row(
        "pruned-file-unset",
        "Parent directory pruned_",
        r"Parent directory pruned_[^\n]{1,300} does not exist",
        "TAO made the name of the pruned model from the path of the checkpoint, which is no file name",
        "set prune.pruned_file in the spec, for example to $results_dir/prune/model_pruned.pth",
    ),
    row(
        "engine-batch",
        "than engine max batch",
        r"(?P<what>input list bigger \(\d{1,9}\) than engine max batch size \(\d{1,9}\))",
        "the batch size is larger than the engine's: {what}",
        "set the action's batch_size to it, or build the engine with a larger max_batch_size",
    ),
    row(
        "batch-larger-than-data",
        "total batch size|ranks is zero|train_loss_epoch|maller than batch|maller than the batch"
        "|fewer than batch",
        r"(?P<what>Dataset size \(\d{1,12}\) is smaller than the total batch size \(\d{1,12}\))"
        r"|Total length of `?\w{0,20}DataLoader`? across ranks is zero|KeyError: 'train_loss_epoch'"
        r"|smaller than (?:the )?batch[ _]size",
        "the dataset has fewer samples than one batch (batch size x GPUs) or is empty: {what}",
        "use a smaller batch size{batch_key}; check the data paths of the spec",
    ),
    row(
        "batch-of-instances",
        "is invalid for input of size",
        r"shape '\[(?P<what>[\d, -]{1,40})\]' is invalid for input of size",
        "a batch does not hold each identity equally often",
        "make the batch size{batch_key} a multiple of dataset.num_instances",
        frame=r"triplet",
    ),
    row(
        "batch-of-one",
        "more than 1 value per channel",
        r"Expected more than 1 value per channel",
        "a batch of one sample cannot be trained with batch normalisation",
        "use a batch size{batch_key} of 2 or more, also for the last batch of an epoch",
    ),
    row(
        "nothing-to-divide",
        "division by zero|modulo by zero",
        r"ZeroDivisionError: (?P<what>(?:integer |float )?(?:division|modulo|division or modulo) by zero)",
        "{what}, most often because the dataset has fewer samples than one batch",
        "use a smaller batch size{batch_key}, and check the data paths of the spec",
        frame=r"load|data|train|pl_|dataset|steps|runner|eval|solver|sampler",
    ),
    row(
        "too-few-steps",
        "logging points",
        r"[Nn]umber of logging points",
        "the dataset is so small that an epoch has fewer steps than the logging needs",
        "use a smaller batch size{batch_key}, or set visualizer scalar_logging_frequency",
    ),
    row(
        "no-user",
        "getpwuid|getuser",
        r"getpwuid\(\): uid not found|getpass\.getuser",
        "the process has a user id without a name inside the container",
        'set USER, LOGNAME and HOME in "env", or another "user"',
    ),
)
