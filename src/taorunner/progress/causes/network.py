"""Causes in the network and in hubs of weights."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

NETWORK: tuple[Cause, ...] = (
    row(
        "hub-offline",
        "outgoing traffic|HF_HUB_OFFLINE|OfflineMode|offline mode is enabled",
        r"outgoing traffic has been disabled|HF_HUB_OFFLINE"
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
        "give the container network, fill a cache beforehand and mount it (HF_HOME), or name a local path in "
        "the spec",
    ),
    row(
        "hub-limit",
        "429|Too Many Requests",
        r"429 Client Error|HTTP Error 429|Too Many Requests",
        "the hub allows no more downloads for now",
        "try again later; fill a cache once and mount it (HF_HOME)",
    ),
    row(
        "hub-name-is-a-path",
        "Repo id must be",
        r"Repo id must [^\n]{1,120}?: {1,2}'(?P<path>[./][^'\n]{1,300})'",
        'there is no "{path}" inside the container, so it was taken for a name on the Hugging Face Hub',
        "check the path in the spec and the mounts",
    ),
    row(
        "hub-folder-incomplete",
        "does not appear to have",
        r"(?P<path>[\w./@-]{1,200}) does not appear to have (?:a file named |files named "
        r")(?P<what>[^\s,]{1,100}?)\.?(?:\s|$)",
        'the model "{path}" lacks the file {what}',
        "a folder must hold the whole model, as downloaded from the Hub; check the path in the spec and the "
        "mounts",
    ),
    row(
        "hub-folder-incomplete",
        "no file named",
        r"[Ee]rror no file named (?P<what>[\w.-]{1,60})[^\n]{0,160} found in directory (?P<path>\S{1,200}?)\.?(?:\s|$)",
        'the folder "{path}" holds no weights, such as {what}',
        "a folder must hold the whole model, as downloaded from the Hub; check the path in the spec and the mounts",
    ),
    row(
        "hub-folder-incomplete",
        "Unrecognized model in",
        r"Unrecognized model in (?P<path>\S{1,200}?)\. Should have a `model_type`",
        'the folder "{path}" holds no whole model: its config.json is missing, or of another kind',
        "name a folder as downloaded from the Hub; check the path in the spec and the mounts",
    ),
    row(
        "server-failed",
        "Server Error|HTTP Error 5|Service Unavailable|Bad Gateway|Gateway Time",
        r"(?P<what>\b50[0-9] Server Error[^\n]{0,160}|HTTP Error 50[0-9]: [^\n]{1,60}|503 Service Unavailable|"
        r"502 Bad Gateway)",
        "the server of a download does not work for now: {what}",
        "try again later; fill a cache once and mount it (HF_HOME), or name a local path in the spec",
    ),
    row(
        "wandb-login",
        "api_key not configured",
        r"api_key not configured",
        "wandb (Weights & Biases) is on in the spec and has no API key",
        'set WANDB_API_KEY in "env", or wandb.enable: false in the spec; WANDB_MODE=offline keeps the curves '
        "here",
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
        "client socket|clients joined|TCPStore|MASTER_ADDR|RendezvousTimeout|RendezvousConnection|"
        "RendezvousClosed",
        r"client socket has (?:failed|timed out)|waiting for clients\. \d{1,5}/\d{1,5} clients joined"
        r"|The client socket|Rendezvous(?:Timeout|Connection|Closed)Error",
        "the processes of the run cannot reach each other at MASTER_ADDR",
        "check MASTER_ADDR, MASTER_PORT and that every node was started",
    ),
    row(
        "no-network",
        "name resolution|not known|Max retries exceeded|etwork is unreachable|couldn't connect to"
        "|connect to '|resolve"
        "|requested files in the|appropriate snapshot folder|No route to host|timed out|onnection refused|"
        "urlopen error|onnection to|IncompleteRead"
        "|onnectionError",
        r"(?:[Ff]ailed to resolve|couldn't connect to|[Cc]ould not resolve host:?"
        r"|HTTPS?ConnectionPool\(host=|Connection to)"
        r" ?['\"]?(?P<what>(?:https?://)?[\w-]{1,60}(?:\.[\w-]{1,60}){1,6})"
        r"|[Tt]emporary failure in name resolution"
        r"|[Nn]ame or service not known|No address associated with hostname|[Nn]etwork is unreachable"
        r"|cannot find the (?:requested files in the (?:local|disk) cache|appropriate snapshot folder)"
        r"|urlopen error (?:timed out|\[Errno (?:-\d|101|110|111|113)\])|Max retries exceeded",
        "the container cannot reach {host}",
        'give it network or a proxy (HTTPS_PROXY in "env"), or download beforehand: HF_HOME on a mounted '
        "cache, or a"
        " local path of the weights in the spec",
    ),
)
