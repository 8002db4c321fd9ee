"""One spec file serves all actions; an action reads its own section, `dataset` and `model`.
Every action writes to `<action>.results_dir`, or else to `results_dir/<action>`. Example specs:

convert.yaml (dataset_convert):

    results_dir: /workspace/projects/shapes/models/experiment_01
    dataset_convert:
      root_directory_path: /workspace/projects/shapes/data/shapes/train
      image_dir_name: image_2         # below the root
      label_dir_name: label_2
      image_extension: .png           # case matters
      val_split: 10                   # per cent of the images, by name, that become fold 000
      num_shards: 2                   # 0: one file per fold, without -shard- in its name
      output_filename: /workspace/projects/shapes/data/tfrecords_experiment_01/shapes

    writes <output_filename>-fold-000-of-002-shard-00000-of-00002 ...: fold 000 validation,
    fold 001 training (with val_split 0, as in TAO, all images are fold 000).

train.yaml (train):

    results_dir: /workspace/projects/shapes/models/experiment_01
    train:
      num_epochs: 24
      batch_size: 8
      learning_rate: 0.008
      checkpoint_interval: 1          # epochs; the last epoch is always saved
      validation_interval: 1          # epochs
      seed: 1234
      # resume_training_checkpoint_path: .../train/model_epoch_009_step_00270.npz
      # pretrained_model_path: .../tinydet_model_latest.npz
    model:
      backbone: small                 # tiny, small
      input_width: 96                 # images are stretched to this; multiples of 8
      input_height: 96
    dataset:
      train_tfrecords: /workspace/projects/shapes/data/tfrecords_experiment_01/shapes-fold-001-of-002*
      val_tfrecords: /workspace/projects/shapes/data/tfrecords_experiment_01/shapes-fold-000-of-002*
      class_names: [circle, square, triangle]

    writes train/model_epoch_EEE_step_SSSSS.npz, train/tinydet_model_latest.npz (a link), train/status.json.
    Goes on from train/tinydet_model_latest.npz where there is one.

evaluate.yaml (evaluate):

    results_dir: /workspace/projects/shapes/models/experiment_01
    evaluate:
      checkpoint: /workspace/projects/shapes/models/experiment_01/train/tinydet_model_latest.npz
      iou_threshold: 0.5
    dataset:
      test_kitti: /workspace/projects/shapes/data/shapes/test   # image_2 and label_2, or images and labels
      # test_tfrecords: ...           # or records; without both: val_tfrecords
      class_names: [circle, square, triangle]

inference.yaml (inference):

    results_dir: /workspace/projects/shapes/models/experiment_01
    inference:
      checkpoint: /workspace/projects/shapes/models/experiment_01/train/tinydet_model_latest.npz
      image_dir: /workspace/projects/shapes/data/shapes/test/image_2
      threshold: 0.3

    writes inference/labels/*.txt (KITTI with the score as 16th column) and inference/images_annotated/.

export.yaml (export):

    results_dir: /workspace/projects/shapes/models/experiment_01
    export:
      checkpoint: /workspace/projects/shapes/models/experiment_01/train/tinydet_model_latest.npz
      onnx_file: /workspace/projects/shapes/models/experiment_01/export/tinydet.onnx   # must not exist yet

Accepted and without effect, so that TAO's overrides do no harm: encryption_key, train.num_gpus, train.gpu_ids,
train.num_nodes, evaluate.num_gpus, evaluate.gpu_ids, inference.num_gpus, inference.gpu_ids, export.gpu_id.
"""
