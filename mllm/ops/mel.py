"""Mel spectrograms of mono sound at 16 kHz: Kaldi's filter banks and the log-mel of Whisper.

B clips, S samples, F frames, W samples of a frame, M mel bins.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

RATE = 16_000  # samples of a second
HOP = 160  # samples from one frame to the next
FRAME = 400  # samples of a frame
FFT = 512  # of Kaldi's frames, which are padded with zeros
PREEMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)  # of energies whose logarithm is taken, as in Kaldi
WINDOWS = {  # powers of the symmetric Hann window
    "hanning": 1.0,
    "povey": 0.85,
}


def fbank_frames(samples):
    """Return how many frames of Kaldi's filter banks lie whole within some samples, numbers or
    arrays.
    """
    return (samples - FRAME) // HOP + 1


def fbank(
    signal: jax.Array, lengths: jax.Array | None = None, *, bins: int = 128, window: str = "hanning"
) -> jax.Array:
    """Return log filter bank energies as Kaldi's ``compute-fbank-feats`` does without dither.

    Each frame loses its mean, is pre-emphasised and windowed; its power spectrum is summed over
    triangles that are evenly spaced on HTK's mel scale, from 20 Hz to 8 kHz. It is computed in
    float64, but on a TPU, which has no such transform: next to a loud tone, the rounding of float32
    changes the logarithms of the weakest bins in the third decimal.

    Args:
      signal: float[..., S], in [-1, 1]. lengths: i32[...], real samples of each clip; None: all S.
      window: a name of ``WINDOWS``; LTU (Gong et al. 2023, arXiv:2305.10790) uses "hanning", Kaldi
        itself "povey".

    Returns:
      float32[..., F, bins]; frames that are not wholly real are 0.
    """
    frames = _frames(signal.astype(jnp.float32))
    filters = _kaldi_filters(bins)
    shape = _hann(FRAME - 1)[np.arange(FRAME) % (FRAME - 1)] ** WINDOWS[window]

    def double(frames: jax.Array) -> jax.Array:
        with jax.enable_x64(True):
            return _log_energies(frames.astype(jnp.float64), shape, filters).astype(jnp.float32)

    found = jax.lax.platform_dependent(
        frames, tpu=lambda frames: _log_energies(frames, shape, filters), default=double
    )
    if lengths is None:
        return found
    real = jnp.arange(found.shape[-2]) < fbank_frames(lengths)[..., None]
    return jnp.where(real[..., None], found, 0)


def _log_energies(frames: jax.Array, shape: np.ndarray, filters: np.ndarray) -> jax.Array:
    """Return the log filter bank energies of float[..., F, W] in their dtype."""
    frames = frames - frames.mean(axis=-1, keepdims=True)
    before = jnp.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
    frames = (frames - PREEMPHASIS * before) * jnp.asarray(shape, frames.dtype)
    power = _power(jnp.fft.rfft(frames, FFT))
    weights = jnp.asarray(filters, frames.dtype)
    energies = jnp.dot(power, weights, precision=jax.lax.Precision.HIGHEST)
    return jnp.log(jnp.maximum(energies, FLOOR))


def log_mel(signal: jax.Array, *, bins: int = 80, window: int = 30 * RATE) -> jax.Array:
    """Return Whisper's log-mel spectrogram (Radford et al. 2022, arXiv:2212.04356) as transformers'
    WhisperFeatureExtractor does of the clip padded with silence to ``window`` samples.

    Args:
      signal: float[..., S], in [-1, 1], 0 after the end of each clip; at most ``window`` samples.

    Returns:
      float32[..., S // 160, bins]: log10 energies, at most 8 below the clip's greatest, plus 4,
      over 4.
    """
    signal = signal.astype(jnp.float32)
    edge, lead = FRAME // 2, [(0, 0)] * (signal.ndim - 1)
    more = "reflect" if signal.shape[-1] == window else "constant"
    signal = jnp.pad(signal, [*lead, (0, edge)], mode=more)
    signal = jnp.pad(signal, [*lead, (edge, 0)], mode="reflect")
    frames = _frames(signal)[..., : (signal.shape[-1] - 2 * edge) // HOP, :]
    power = _power(jnp.fft.rfft(frames * jnp.asarray(_hann(FRAME), jnp.float32)))
    energies = jnp.dot(power, _slaney_filters(bins), precision=jax.lax.Precision.HIGHEST)
    found = jnp.log10(jnp.maximum(energies, 1e-10))
    found = jnp.maximum(found, found.max(axis=(-2, -1), keepdims=True) - 8.0)
    return (found + 4.0) / 4.0


def mask_spans(spectrogram: jax.Array, spans: jax.Array) -> jax.Array:
    """Hide spans of frames and of bins, as SpecAugment does (Park et al. 2019, arXiv:1904.08779).

    Args:
      spectrogram: float[B, F, M].
      spans: i32[B, 2, K, 2], (start, end) of K spans of frames, then of K spans of bins; one that
        is empty hides nothing.

    Returns:
      The spectrogram with the mean of each clip in place of what is hidden.
    """

    def hidden(size: int, axis: int) -> jax.Array:
        places = jnp.arange(size)[:, None]
        start, end = (spans[:, axis, None, :, side] for side in (0, 1))
        return ((places >= start) & (places < end)).any(axis=-1)

    _, frames, bins = spectrogram.shape
    masked = hidden(frames, 0)[:, :, None] | hidden(bins, 1)[:, None, :]
    return jnp.where(masked, spectrogram.mean(axis=(1, 2), keepdims=True), spectrogram)


def _frames(signal: jax.Array) -> jax.Array:
    """Return the frames float[..., F, W] that lie whole within float[..., S]."""
    count = fbank_frames(signal.shape[-1])
    return signal[..., HOP * np.arange(count)[:, None] + np.arange(FRAME)]


def _power(spectrum: jax.Array) -> jax.Array:
    return spectrum.real**2 + spectrum.imag**2


def _hann(period: int) -> np.ndarray:
    """Return one period of Hann's window, float64[period]."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(period) / period)


@cache
def _kaldi_filters(bins: int) -> np.ndarray:
    """Return float32[FFT / 2 + 1, bins]: triangles on HTK's mel scale, of height 1.

    Kaldi computes them in float32, and the smallest weights depend on how it rounds.
    """
    one = np.float32(1)

    def mel(frequency):
        return np.float32(1127) * np.log(one + frequency / np.float32(700))

    low, high = (1127.0 * np.log1p(frequency / 700.0) for frequency in (20.0, RATE / 2))
    step = np.float32((high - low) / (bins + 1))
    edges = np.float32(low) + np.arange(bins + 2, dtype=np.float32) * step
    places = mel(np.float32(RATE / FFT) * np.arange(FFT // 2 + 1, dtype=np.float32))
    filters = _triangles(places, edges)
    filters[-1] = 0  # Kaldi leaves out the last frequency
    return filters


@cache
def _slaney_filters(bins: int) -> np.ndarray:
    """Return float32[FRAME / 2 + 1, bins]: triangles of area 1 on Slaney's mel scale, which is
    linear below 1 kHz and logarithmic above.
    """
    step, linear = np.log(6.4) / 27, 15.0

    def hertz(mel):
        above = 1000.0 * np.exp(step * (mel - linear))
        return np.where(mel < linear, 200.0 / 3 * mel, above)

    highest = linear + np.log(RATE / 2 / 1000.0) / step
    edges = hertz(np.linspace(0.0, highest, bins + 2))
    filters = _triangles(np.arange(FRAME // 2 + 1) * RATE / FRAME, edges)
    return (filters * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def _triangles(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return float[places, filters]: the heights at some places of triangles that each begin,
    peak and end at three edges that follow each other.
    """
    rise = (places[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - places[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rise, fall))
