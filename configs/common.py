"""The keys that every study has, with the defaults of the method."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import ml_collections


def base() -> ml_collections.ConfigDict:
    """EMO-DB, IS10, W-div; sizes and schedule for two CPU cores."""
    c = ml_collections.ConfigDict()
    c.kind = "features"  # what a study works on; of recordings see configs/recordings.py

    c.corpus = corpus = ml_collections.ConfigDict()
    corpus.name = "emodb"  # a table or tfds:NAME in EMO-DB's place gives its own name
    corpus.root = ""  # folder of the corpus as distributed, or tfds:NAME; empty: the embedded table
    corpus.table = ""  # or a table of clips (csv with the column file) or of features (npz, csv, parquet)
    corpus.columns = ""  # names of columns in your table, "{'file': 'path', 'emotion': 'label'}"
    corpus.labels = ""  # other names for emotions, "{'Wut': 'anger', 'W': 'anger'}"
    corpus.classes = ("anger", "fear", "happiness", "neutral", "sadness")
    corpus.part = ""  # of iemocap "improvised" or "scripted"; empty: all

    c.target = target = ml_collections.ConfigDict()  # protocol "across": the corpus that is tested on
    target.name = ""
    target.root = ""
    target.table = ""
    target.columns = ""
    target.labels = ""
    target.dev_share = 0.3  # of the target, on which settings are chosen
    target.dev_split = "speaker"  # whole speakers, or "clip": clips of all of them

    c.features = features = ml_collections.ConfigDict()
    features.set = "IS10"  # any openSMILE set by name, or "logmel": 128 frames of 40 filters
    features.cache = "~/.cache/sergan/features"
    features.store = ""  # folder of prepared sets, in which decoded audio is kept; empty: it is not
    features.workers = 0  # 0: all cores

    c.protocol = "speaker"  # leave one "speaker" out, one of "speaker_groups", a "session", or a speaker and
    # a text at once ("speaker_text"); or train on corpus, test "across" on target
    c.groups = 6  # protocol "speaker_groups": how many groups of speakers

    # "speech", "corpus", a folder of audio, a table of clips or features, tfds:NAME, or NAME:FOLDER, a
    # copy of a corpus
    c.source = "speech"
    c.normalisations = ("train", "speaker")  # arms, never mixed; also "corpus" with protocol "across"
    c.arms = ()  # beside real; empty: the CycleGANs of gan.loss
    c.classifiers = ("svm", "dnn")  # or one of them
    c.seeds = 3  # of the DNN, for each GAN seed
    c.amount = 0.0  # synthetic sets, each as large as the real training set; 0: a row of every class for
    # each row of S
    c.curve = ()  # amounts tried beside the real rows instead of `amount`
    c.noise = 0.3  # of the arm noise, in deviations of a feature
    c.mixup = 0.4  # of the arm mixup, alpha of its Beta distribution
    c.distances = False  # all measures of quality, not only the difference of means
    c.synthetic_seeds = 0  # GAN seeds whose synthetic rows are kept as Parquet; 0: all

    c.choice = _choice()
    c.gan = _gan()
    c.hypers = _hypers()
    c.sweep = ()  # points, each with other values of keys of gan or hypers; see grid

    c.training = training = ml_collections.ConfigDict()
    training.log_every = 20  # steps per compiled chunk
    training.save_every = 200
    training.members_per_group = 0  # 0: as the memory holds, on a CPU at most 3 for each device
    training.compilation_cache = "~/.cache/sergan/compiled"  # programs are compiled once; empty: each time

    c.svm = svm = ml_collections.ConfigDict()
    svm.C = 1e-3
    svm.real_share = 0.4  # of the weight, where synthetic rows train, too; 0: as many as they are

    c.dnn = dnn = ml_collections.ConfigDict()
    dnn.hidden = (100, 100)
    dnn.dropout = 0.0
    dnn.l2 = 1e-2
    dnn.learning_rate = 1e-3
    dnn.batch_size = 64
    dnn.steps = 200
    dnn.decay = True  # of the learning rate, to 0
    dnn.real_share = 0.5  # as the SVM's
    c.dnn_alone = ml_collections.ConfigDict()  # keys of dnn that differ without the real rows
    c.dnn_both = ml_collections.ConfigDict()  # and with real and synthetic rows
    return c


def grid(**values: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """The points of every combination of values of keys of gan or hypers."""
    return tuple(dict(zip(values, point, strict=True)) for point in product(*values.values()))


def tiny(config: ml_collections.ConfigDict) -> None:
    """Networks, schedules, grids and repeats of a debug preset."""
    config.gan.generator = config.gan.critic = config.gan.classifier = (8,)
    config.gan.epochs = 4
    config.gan.noise_pretrain_epochs = 2
    config.gan.noise_epochs = 4
    config.gan.seeds = 1
    config.training.log_every = 2
    config.training.save_every = 4
    config.seeds = 1
    config.amount = 1.0
    config.dnn.hidden = (8,)
    config.dnn.steps = 20
    config.choice.noise = (0.1, 0.3)
    config.choice.mixup = (0.2,)
    config.choice.C = (1e-3, 1e-2)
    config.choice.l2 = (1e-3,)
    config.choice.hidden = ((8,),)
    config.choice.dropout = (0.0,)
    config.choice.steps = (20,)


def bao(config: ml_collections.ConfigDict) -> None:
    """The CycleGANs of Bao et al. 2019, section 4.1."""
    gan = config.gan
    gan.loss = "gan"
    gan.generator = (1000, 500, 1000)
    gan.critic = (1000, 1000)
    gan.classifier = (100, 100)
    gan.residual = False
    gan.classifier_data = "fake"
    gan.pretrain_epochs = 10_000
    gan.epochs = 2000
    gan.ema_decay = 0.0
    papers_schedule(config)


def papers_schedule(config: ml_collections.ConfigDict) -> None:
    """Learning rates, their decay and Adam as the papers have them."""
    config.hypers.lr_g = config.hypers.lr_c = config.hypers.lr_cls = 2e-4
    config.gan.noise_pretrain_epochs, config.gan.noise_epochs, config.gan.noise_rate = 500, 2000, 1.0
    config.gan.decay_epochs = 50
    config.gan.seeds = 1
    config.gan.adam_b1, config.gan.adam_b2, config.gan.adam_eps = 0.9, 0.999, 1e-7  # TensorFlow's own
    config.training.log_every = 50
    config.training.save_every = 500


def _choice() -> ml_collections.ConfigDict:
    """What inner speaker folds choose among, the same grid for each arm."""
    choice = ml_collections.ConfigDict()
    choice.speakers = 2  # others that judge the settings of each held-out one; 0: nothing is chosen
    choice.amounts = ()  # empty: nothing is chosen but a sweep's point
    choice.real_share = (0.5,)
    choice.noise = (0.1, 0.3, 1.0)
    choice.mixup = (0.2, 1.0)
    choice.C = (1e-4, 1e-3, 1e-2, 1.0)
    choice.l2 = (1e-3, 1e-2)
    choice.hidden = ((100, 100), (32, 32))
    choice.dropout = (0.2,)
    choice.steps = (200, 500)
    return choice


def _gan() -> ml_collections.ConfigDict:
    """The CycleGANs: what is compiled."""
    gan = ml_collections.ConfigDict()
    gan.loss = "wdiv"  # "wdiv" or "gan" (JS)
    gan.seeds = 2
    gan.view = ""  # rows as such, by dense layers, or "spectrogram": of log-Mel rows, by convolutions;
    # generator and critic are then the numbers of maps after each halving, 3 at most
    gan.generator = (64, 64)
    gan.critic = (64, 64)
    gan.critic_heads = False  # a critic for each group of features, averaged
    gan.classifier = (64, 64)
    gan.residual = True
    gan.precision = "float32"  # of the matrix products: "float32", "tensorfloat32" or "bfloat16"
    gan.activations = "float32"  # or "bfloat16"
    gan.slope = 0.2
    gan.dropout = 0.2  # in pre-training
    gan.cycle_reduction = "sum"  # "sum" (the papers' squared norm) or "mean"
    gan.classifier_data = "real"  # what C learns from: "real", "fake" or "both"
    gan.batch_size = 64
    gan.generator_updates = 2
    gan.critic_updates = 1
    gan.adam_b1 = 0.5
    gan.adam_b2 = 0.9
    gan.adam_eps = 1e-6  # damps what rounding makes of gradients near 0
    gan.ema_decay = 0.9
    gan.pretrain_epochs = 0  # a residual generator starts as the identity: nothing is left to reconstruct
    gan.noise_pretrain_epochs = 400  # of the baselines that make rows from noise, which have more to learn
    gan.noise_epochs = 1000
    gan.noise_rate = 3.0  # times hypers' learning rates
    gan.epochs = 200  # an epoch is a pass over the rows of one emotion
    gan.decay_epochs = 25
    gan.decay_factor = 0.8
    gan.decay_floor = 0.0
    return gan


def _hypers() -> ml_collections.ConfigDict:
    """The CycleGANs: what is traced, so that a change compiles nothing."""
    hypers = ml_collections.ConfigDict()
    hypers.lambda_cyc = 5.0
    hypers.lambda_cls = 2.0
    hypers.lambda_id = 0.0
    hypers.penalty_k = 2.0
    hypers.penalty_p = 6.0
    hypers.smoothing = 0.9
    hypers.lr_g = 1e-3
    hypers.lr_c = 1e-3
    hypers.lr_cls = 1e-3
    return hypers
