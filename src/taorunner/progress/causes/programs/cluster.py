"""Causes in Slurm, in its plugins that start containers (pyxis, enroot), and in Apptainer."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

_NODE = "ask the cluster's administrator about that node; submit to another one meanwhile"

CLUSTER: tuple[Cause, ...] = (
    row(
        "slurm-namespaces",
        "namespace",
        r"(?:failed to create|[Cc]ouldn't create|[Ff]ailed to unshare)[^\n]{0,40}(?:user )?namespace[^\n]{0,60}"
        r"(?:not permitted|[Pp]ermission denied|No space|Invalid argument)",
        "the node's kernel lets no user start a container (user namespaces are off)",
        "ask the cluster's administrator: user.max_user_namespaces above 0, unprivileged_userns_clone=1, no "
        "AppArmor "
        "restriction of user namespaces",
        weight=Weight.MACHINE,
    ),
    row(
        "slurm-folder",
        "pyxis",
        r"pyxis: {1,8}(?:mkdir: cannot create directory|couldn't mkdir|enroot-\w{1,20}: failed to (?:create|"
        r"mount|open))"
        r" {0,2}(?:directory:? )?['\u2018]?(?P<path>/[^\s'\u2019:]{1,200})['\u2019]?: (?P<what>[^\n]{1,80})",
        "the node could not make a folder for the container: {path}: {what}",
        "ask the cluster's administrator about ENROOT_RUNTIME_PATH, ENROOT_CACHE_PATH and ENROOT_DATA_PATH in "
        "/etc/enroot/enroot.conf",
    ),
    row(
        "slurm-login",
        "pyxis|enroot|proxy_auth",
        r"(?:pyxis|enroot|proxy_auth)[^\n]{0,200}(?:401|403|[Uu]nauthorized|[Ff]orbidden)",
        "the registry refuses the image without a login (401)",
        "put the NGC key into ~/.config/enroot/.credentials on the cluster",
    ),
    row(
        "slurm-no-pyxis",
        "SPANK plugin",
        r"SPANK plugin \"pyxis\" option \"[\w-]{1,40}\" not found",
        "the node has no pyxis, the plugin of Slurm that starts containers",
        "ask the cluster's administrator to install it on all nodes, or choose a partition that has it",
        weight=Weight.MACHINE,
    ),
    row(
        "slurm-command",
        "failed to execute: ",
        r"enroot-switchroot: failed to execute: (?P<path>/\S{1,200}?): No such file",
        'the image holds no "{path}", which starts the run',
        "use an image that has it, as those of TAO do",
    ),
    row(
        "slurm-gpus",
        "nvidia.sh exited|nvidia-container-cli: ",
        r"pyxis[^\n]{0,120}(?:hooks\.d/\S{0,20}nvidia\.sh exited|nvidia-container-cli: (?P<what>[^\n]{1,120}))",
        "the node could not give its GPUs to the container: {what}",
        "ask the cluster's administrator about driver and container toolkit of that node; meanwhile use "
        "another one",
    ),
    row(
        "slurm-log",
        "pyxis: ",
        r"pyxis: {3,12}(?!\[INFO\]|\[WARN\])(?:\[ERROR\] )?(?!(?:/\S{1,80}hooks\.d/\S{1,60} exited))"
        r"(?P<what>\S[^\n]{8,200})",
        "the node could not start the container: {what}",
        "if it names the image, check its name and the login (~/.config/enroot/.credentials); else "
        "ask the cluster's administrator about that node",
    ),
    row(
        "slurm-image",
        "pyxis: failed to import|enroot",
        r"pyxis: failed to import docker image|enroot-\w{1,20}: [^\n]{0,120}(?:ERROR|error|fail)",
        "Slurm could not fetch the image (pyxis, enroot)",
        "the lines before say why; check image name, login (~/.config/enroot/.credentials) and free space",
    ),
    row(
        "slurm-container",
        "pyxis: ",
        r"slurmstepd: error: pyxis: (?P<what>(?!child |container start failed|printing|couldn't start|if the "
        r"image)"
        r"\S[^\n]{1,160})",
        "the node could not start the container (pyxis): {what}",
        "ask the cluster's administrator about that node; submit to another one meanwhile",
    ),
    row(
        "slurm-job-gone",
        "confirm allocation for job|SLURM_JOB_ID environment",
        r"Unable to confirm allocation for job (?P<what>\d{1,12})|Expired or invalid job (?P<path>\d{1,12})",
        "the job that srun was to use is over: {what}{path}",
        "unset SLURM_JOB_ID in the shell that starts the run, and submit it again",
    ),
    row(
        "slurm-step-refused",
        "nable to create step for job",
        r"[Uu]nable to create step for job \d{1,12}: (?P<what>(?:Memory|More|Requested|Invalid|Required)[^\n]{1,120})",
        "Slurm cannot start this task in its job: {what}",
        "the job must have what the task asks for: raise its memory (--mem), CPU cores (--cpus-per-task) or GPUs "
        "in the settings of the backend",
    ),
    row(
        "slurm-launch",
        "ask launch for|launch failed|nable to create step|ob step aborted",
        r"Task launch for StepId=[^\n]{0,80} failed|Application launch failed|task \d{1,9} launch failed"
        r"|Unable to create step for job",
        "Slurm could not start the task on a node",
        "submit it again; if it comes again, ask the cluster's administrator about that node",
    ),
    row(
        "slurm-refused",
        "atch job submission failed|nable to allocate resources",
        r"(?:[Bb]atch job submission failed|[Uu]nable to allocate resources): (?P<what>[^\n]{1,200})",
        "Slurm refused the job: {what}",
        "compare partition, account, time and GPUs of the job with what `sinfo` and `sacctmgr` show",
    ),
    row(
        "slurm-script-gone",
        "/slurm_script",
        r"execve\(\): [^\n:]{1,120}/slurm_script: ",
        "the node lost its copy of the job's script",
        "submit it again; if it comes again, leave that node out, and ask the cluster's administrator about it",
    ),
    row(
        "program-not-started",
        "execve():",
        r"execve\(\): (?P<what>[^\n:]{1,120}): (?:No such file or directory|Permission denied|Exec format "
        r"error)",
        'the program "{what}" could not be started on the node',
        'is it the image of this network? check "image" and "release" in experiments.yml; without '
        "containers, the PATH "
        "and the environment of the job",
    ),
    row(
        "apptainer-lacks-toolkit",
        "nvidia-container-cli",
        r"^FATAL: [^\n]{0,120}nvidia-container-cli[^\n]{0,120}(?:no such file|not found)",
        "the node lacks nvidia-container-cli, which Apptainer was asked to give GPUs with",
        "install nvidia-container-toolkit there, or start without --nvccli (--nv alone)",
    ),
    row(
        "apptainer-image-missing",
        "FATAL:",
        r"^FATAL: {1,4}[^\n]{0,60}(?:could not open image|stat|lstat|image path) "
        r"[^\n]{0,200}?(?P<path>/[^\s:]{1,300}):? "
        r"[^\n]{0,200}no such file or directory",
        'there is no image "{path}" on the node',
        "check the path of the image file, and that the node sees that disk",
    ),
    row(
        "apptainer-image-unreadable",
        "squash|SIF|image format",
        r"^FATAL: [^\n]{0,300}(?:squashfs|squashfuse|not a valid SIF|image format not recognized)[^\n]{0,200}",
        "Apptainer cannot read the image file",
        "fetch it again (it may be cut off), onto a disk that all nodes see",
    ),
    row(
        "apptainer-registry",
        "FATAL:",
        r"^FATAL: [^\n]{0,300}?(?P<what>unauthorized[^\n]{0,80}|authentication required|invalid status code "
        r"from registry 40[13]"
        r"[^\n]{0,40}|manifest unknown|toomanyrequests|requested access to the resource is denied)",
        "Apptainer could not fetch the image: {what}",
        "check the image's name; log in with: apptainer registry login --username '$oauthtoken' "
        "docker://nvcr.io",
    ),
    row(
        "apptainer-network",
        "FATAL:",
        r"^FATAL: [^\n]{0,400}?(?P<what>dial tcp [^\n]{1,120}|i/o timeout|no such host|connection re(?:fused|"
        r"set)[^\n]{0,40}"
        r"|TLS handshake timeout)",
        "Apptainer could not reach the registry of the image: {what}",
        "fetch the image on a machine with network into a file that all nodes see, or set HTTPS_PROXY",
    ),
    row(
        "apptainer-build",
        "FATAL:",
        r"^FATAL: [^\n]{0,300}?(?P<what>(?:conveyor failed|packer failed|no descriptor found|unpack|error "
        r"extracting layer|while creating"
        r" squashfs|create command failed)[^\n]{0,160})",
        "Apptainer could not make its image file: {what}",
        "empty its cache (apptainer cache clean), and name a local disk with room with APPTAINER_TMPDIR and "
        "APPTAINER_CACHEDIR",
    ),
    row(
        "apptainer-mount",
        "FATAL:",
        r"^FATAL: [^\n]{0,200}mount source (?P<path>/[^\s:]{1,300}) doesn't exist"
        r"|^FATAL: [^\n]{0,200}(?:can't|could not|unable to|while) [^\n]{0,40}mount[^\n]{0,40}? "
        r"(?P<bare>/[^\s:>]{1,300})"
        r"(?:->[^\s:]{1,200})?[^\n]{0,60}(?:no such file|doesn't exist|does not exist)",
        'Apptainer cannot mount "{path}"',
        "create it, or correct Mounts in .tao_mounts.json; the destination must exist in the image unless "
        "overlay is on",
    ),
    row(
        "apptainer",
        "FATAL:",
        r"^FATAL: {2,4}(?P<what>\S[^\n]{1,240})",
        "Apptainer could not start the container: {what}",
        "if it names a file or folder, check that the node sees it; else ask the cluster's administrator "
        "about Apptainer "
        "on that node",
        weight=Weight.GENERAL,
    ),
)
