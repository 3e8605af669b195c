"""The keys of every study on recordings, with the defaults of Pham et al. 2021 at sizes for two CPU cores."""

import ml_collections


def base() -> ml_collections.ConfigDict:
    """EMO-DB's recordings, clips made of them or from noise, and ADCRNN's layers at a small size."""
    c = ml_collections.ConfigDict()
    c.kind = "recordings"

    c.corpus = corpus = ml_collections.ConfigDict()
    corpus.name = "emodb"
    corpus.root = ""  # folder of the corpus as distributed
    corpus.table = ""  # or a table of clips, csv with the column file
    corpus.columns = ""  # names of columns in your table, "{'file': 'path', 'emotion': 'label'}"
    corpus.labels = ""  # other names for emotions, "{'Wut': 'anger', 'W': 'anger'}"
    corpus.classes = ()  # empty: all

    c.protocol = "clip"  # random folds of clips (speaker-dependent), or leave one "speaker" out, or one of
    # "speaker_groups"
    c.groups = 5  # folds of "clip" and "speaker_groups"
    c.loudness = "kept"  # or "normalised": every clip, recorded or made, to the same level
    c.arms = ("duplicate", "time_shift", "pitch_shift", "wavegan", "specgan")  # beside real
    c.classifiers = ("small adcrnn L_f1",)  # size, network and loss; "without attention" may stand behind it
    c.seeds = 1  # of a classifier, for each GAN seed

    c.balance = balance = ml_collections.ConfigDict()
    balance.reference = ""  # the class that gets no clips; empty: the largest, which is anger in EMO-DB
    balance.factor = 0.0  # clips made for each clip of another class; 0: up to the reference's count

    c.shifts = shifts = ml_collections.ConfigDict()
    shifts.samples = 160  # of the time shift: 10 ms, which is one frame of the spectrogram
    shifts.half_steps = 3  # of the pitch shift, at most
    shifts.fft = 2048  # window of the phase vocoder
    shifts.hop = 512
    shifts.keep_level = True  # a pitch-shifted clip gets its parent's energy back: the phase vocoder takes
    # some 3 dB, which only the classes that get such clips would lose

    c.sound = sound = ml_collections.ConfigDict()
    sound.seeds = 1
    sound.conditional = True  # one GAN for all classes; False: one for each
    sound.samples = 32768  # of a made clip, at most: 16384, 32768 or 65536, 16,000 to a second
    sound.size = 8  # the papers' d, which is 64 there
    sound.loss = "wgan_gp"  # or "wdiv"
    sound.penalty = 10.0  # of wgan_gp
    sound.penalty_k = 2.0  # of wdiv
    sound.penalty_p = 6.0
    sound.batch_size = 16
    sound.critic_updates = 5
    sound.learning_rate = 1e-4
    sound.adam_b1 = 0.5
    sound.adam_b2 = 0.9
    sound.shuffle = 2  # most samples of WaveGAN's phase shuffle
    sound.precision = "float32"
    sound.wavegan_steps = 1000
    sound.specgan_steps = 1000

    c.adcrnn = adcrnn = ml_collections.ConfigDict()
    adcrnn.steps = 1250
    adcrnn.batch_size = 16
    adcrnn.learning_rate = 1e-3
    adcrnn.decay = True  # whether the learning rate falls linearly to 0
    adcrnn.center_weight = 0.1  # of L_f1 and L_f3
    adcrnn.contrastive_weight = 1.0  # of L_f4, whose ratio begins near 1/12: a tenth of it trained nothing
    adcrnn.center_rate = 0.5
    adcrnn.dropout = 0.5
    adcrnn.mask_frames = 0  # of a segment of 300 that trains, at most so many in a row are hidden
    adcrnn.mask_filters = 0  # and so many of its 40 filters
    adcrnn.precision = "float32"
    adcrnn.look_every = 250  # steps between looks at held-out clips, for the learning curve alone; 0: none

    c.training = training = ml_collections.ConfigDict()
    training.log_every = 20  # steps of a GAN per compiled chunk
    training.save_every = 200  # and about as many of a network that classifies
    training.members_per_group = 0  # GANs trained at once; 0: one on a CPU, elsewhere as many as fit
    training.compilation_cache = "~/.cache/sergan/compiled"  # programs are compiled once; empty: each time
    return c
