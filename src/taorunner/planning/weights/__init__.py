"""What a new experiment starts from, and whether an experiment's weights are used and present.

To make an experiment, in this order (``layout`` is ``catalog.layout(head)``, ``specs`` the texts of the spec
files by name, ``wanted`` the text of ``--backbone`` or None):

    start = start_of(head, layout, specs, wanted, use_weights=True)   # spec_lines; UsageError names the backbones
        start.specs      the texts, with the backbone and the weights in them
        start.keys       repository and backbone for experiments.yml; empty without weights and without --backbone
        start.backbone   its name, None for a network without a choice
        start.weights    choice.StartWeights or None; model, repository, version, key, file, needs_entitled_key
        start.says       a sentence: which weights, or that it starts from random values
    pulled = pull_start_weights(start.weights, workspace, watcher, environ, home)   # pull; never a failure
        pulled.folder    None where they were not pulled; pulled.says is the sentence for the label "weights"

``choice.start_weights(layout, backbone)`` and ``choice.choose_backbone(head, layout, wanted, usual)`` are the parts.
``use`` judges the weights of an experiment that exists, for ``validate`` and for launches.
"""
