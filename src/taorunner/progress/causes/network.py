"""Causes in the network, in hubs of weights, and in Slurm's container plugins."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

NETWORK: tuple[Cause, ...] = (
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
        "ask the cluster's administrator about driver and container toolkit of that node; meanwhile use another one",
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
        r"slurmstepd: error: pyxis: (?P<what>(?!child |container start failed|printing|couldn't start|if the image)"
        r"\S[^\n]{1,160})",
        "the node could not start the container (pyxis): {what}",
        "ask the cluster's administrator about that node; submit to another one meanwhile",
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
        "hub-offline",
        "outgoing traffic|requested files in the local cache|HF_HUB_OFFLINE|OfflineMode|offline mode is enabled",
        r"outgoing traffic has been disabled|cannot find the requested files in the local cache|HF_HUB_OFFLINE"
        r"|OfflineModeIsEnabled|offline mode is enabled",
        "downloads from the Hugging Face Hub are off (HF_HUB_OFFLINE), and its cache lacks the files",
        "download them beforehand into a folder that is mounted and named by HF_HOME, or unset HF_HUB_OFFLINE",
    ),
    row(
        "hub-login",
        "gated|Gated|401 Client Error|403 Client Error|is restricted|RepositoryNotFound"
        "|nvalid user token|Invalid username",
        r"GatedRepo|gated repo|Access to model (?P<what>[\w./-]{1,100}) is restricted|RepositoryNotFoundError"
        r"|40[13] Client Error|[Ii]nvalid user token|Invalid username or password",
        "the hub refuses the model: it is gated (licence, token) or does not exist",
        'accept the licence on its page and set HF_TOKEN in "env"',
    ),
    row(
        "hub-missing",
        "Can't load ",
        r"Can't load (?:the )?(?:\w{1,20} ){0,3}(?:of|for) '(?P<what>[\w./-]{1,100})'",
        'the model "{what}" is not in the cache and could not be downloaded from the hub',
        "give the container network, fill a cache beforehand and mount it (HF_HOME), or name a local path in the spec",
    ),
    row(
        "hub-limit",
        "429|Too Many Requests",
        r"429 Client Error|HTTP Error 429|Too Many Requests",
        "the hub allows no more downloads for now",
        "try again later; fill a cache once and mount it (HF_HOME)",
    ),
    row(
        "wandb-login",
        "api_key not configured",
        r"api_key not configured",
        "wandb (Weights & Biases) is on in the spec and has no API key",
        'set WANDB_API_KEY in "env", or wandb.enable: false in the spec; WANDB_MODE=offline keeps the curves here',
    ),
    row(
        "download-refused",
        "HTTP Error 40",
        r"HTTP Error (?P<what>40[34]): \w{1,20}",
        "a download was refused: {what}",
        "the address is no longer valid or needs a login: name a local path of the weights in the spec",
    ),
    row(
        "certificate",
        "CERTIFICATE_VERIFY_FAILED|ertificate verify failed|SSLCertVerification|SSLError",
        r"CERTIFICATE_VERIFY_FAILED|[Cc]ertificate verify failed|SSLCertVerificationError",
        "a certificate is not trusted inside the container, as behind a proxy with its own",
        'mount the proxy\'s certificate and name it with SSL_CERT_FILE and REQUESTS_CA_BUNDLE in "env"',
    ),
    row(
        "proxy",
        "ProxyError|to proxy",
        r"ProxyError|[Uu]nable to connect to proxy|[Cc]annot connect to proxy",
        "the proxy does not answer",
        'check HTTP_PROXY and HTTPS_PROXY in "env"',
    ),
    row(
        "port-in-use",
        "ddress already in use|EADDRINUSE",
        r"[Aa]ddress already in use|EADDRINUSE",
        "a network port that the run needs is taken",
        "wait for the other distributed run to end, or set MASTER_PORT",
    ),
    row(
        "no-network-between-gpus",
        "socket interface|Bootstrap : no|No IP interface",
        r"[Nn]o socket interface found|Bootstrap : no|No IP interface",
        "NCCL found no network interface",
        'name one with NCCL_SOCKET_IFNAME in "env", or set "network" to host',
    ),
    row(
        "nodes-apart",
        "client socket|clients joined|TCPStore|MASTER_ADDR|RendezvousTimeout|RendezvousConnection",
        r"client socket has (?:failed|timed out)|waiting for clients\. \d{1,5}/\d{1,5} clients joined"
        r"|The client socket|Rendezvous(?:Timeout|Connection)Error",
        "the processes of the run cannot reach each other at MASTER_ADDR",
        "check MASTER_ADDR, MASTER_PORT and that every node was started",
    ),
    row(
        "no-network",
        "name resolution|not known|Max retries exceeded|etwork is unreachable|couldn't connect to"
        "|connect to '|resolve"
        "|No route to host|timed out|onnection refused|urlopen error|onnection to|IncompleteRead"
        "|onnectionError",
        r"(?:[Ff]ailed to resolve|couldn't connect to|[Cc]ould not resolve host:?"
        r"|HTTPS?ConnectionPool\(host=|Connection to)"
        r" ?['\"]?(?P<what>(?:https?://)?[\w-]{1,60}(?:\.[\w-]{1,60}){1,6})"
        r"|[Tt]emporary failure in name resolution"
        r"|[Nn]ame or service not known|No address associated with hostname|[Nn]etwork is unreachable"
        r"|urlopen error (?:timed out|\[Errno (?:-\d|101|110|111|113)\])|Max retries exceeded",
        "the container cannot reach {host}",
        'give it network or a proxy (HTTPS_PROXY in "env"), or download beforehand: HF_HOME on a mounted '
        "cache, or a"
        " local path of the weights in the spec",
    ),
)
