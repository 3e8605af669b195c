"""Pictures of clips: their waveforms, and what the networks see of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sergan.corpora.audio import RATE

_FRAMES = 100  # to a second


def clips(titles: Sequence[str], waves: Sequence[np.ndarray], spectra: Sequence[np.ndarray]) -> Figure:
    """A column for each clip: its samples x_T above its log-Mel spectrogram x_TxF, all on the same scales."""
    count = len(titles)
    figure = Figure((10.5, 4.2), layout="constrained")
    axes = np.atleast_2d(figure.subplots(2, count, sharex=True, sharey="row")).reshape(2, count)
    low, high = np.percentile(np.concatenate(spectra), [2, 99.8])
    for column, (title, x_T, x_TxF) in enumerate(zip(titles, waves, spectra, strict=True)):
        wave, picture = axes[:, column]
        wave.plot(np.arange(len(x_T)) / RATE, x_T, color="#0072B2", lw=0.4, rasterized=True)
        wave.set_title(title, fontsize=9)
        wave.grid(color="#e6e6e6")
        seconds, filters = len(x_TxF) / _FRAMES, x_TxF.shape[1]
        image = picture.imshow(
            x_TxF.T, origin="lower", aspect="auto", vmin=low, vmax=high, extent=(0, seconds, 0, filters)
        )
        picture.set_xlabel("time / s")
    axes[0, 0].set_xlim(0, max(len(x_T) for x_T in waves) / RATE)
    axes[0, 0].set_ylabel("samples")
    axes[1, 0].set_ylabel("Mel filter")
    figure.colorbar(image, ax=axes[1].tolist(), label="log power", pad=0.01)
    return figure
