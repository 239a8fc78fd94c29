"""Spoken words: log-mels, espeak-ng's voices, sound files and recordings."""

import sys
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.procedural.takes import WORDS
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.voices import espeak, log_mel, recordings, timing
from jaxgen.systems.lipgen.voices.own_words import words_of_table
from jaxgen.systems.lipgen.voices.pacing import paced
from jaxgen.systems.lipgen.voices.recordings import bundled, of_table, recorded
from jaxgen.systems.lipgen.voices.sound_files import read_sound
from jaxgen.systems.lipgen.voices.sounds import LEVEL, levelled


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  return tmp_path / 'cache'


def tone(seconds, hertz=440.0, rate=16_000, level=0.5):
  return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_wav(path, sound, rate=16_000):
  """A sound [n] or [n, channels] as 16 bits a sample."""
  with wave.open(str(path), 'wb') as file:
    file.setnchannels(1 if sound.ndim == 1 else sound.shape[1])
    file.setsampwidth(2)
    file.setframerate(rate)
    file.writeframes((sound * 32767).round().astype('<i2').tobytes())
  return path


class TestLogMel:
  def test_equals_a_transform_by_its_definition(self):
    sound = np.random.default_rng(3).normal(0, 0.1, 1000)
    found = log_mel.log_mel(sound)
    assert found.shape == (7, 80) and found.dtype == np.float32
    hertz = np.arange(513) * 15.625
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    for row in (0, 3, 6):
      energy = np.zeros(513)
      for k in range(513):
        total = 0j
        weights = 0.0
        for j in range(400):
          place = 160 * row - 120 + j
          weight = 0.5 - 0.5 * np.cos(2 * np.pi * (j + 0.5) / 400)
          weights += weight
          if 0 <= place < 1000:
            total += weight * sound[place] * np.exp(-2j * np.pi * k * j / 1024)
        energy[k] = abs(2 * total / weights) ** 2
      for band in (0, 17, 79):
        heights = np.interp(hertz, edges[band : band + 3], [0, 1, 0])
        expected = np.log(max(heights @ energy, 1e-7))
        assert found[row, band] == pytest.approx(expected, abs=1e-4)

  def test_rows_4t_to_4t_plus_3_are_about_frame_t(self):
    sound = np.zeros(640 * 5)
    sound[640 * 2 + 320] = 1.0  # in the middle of frame 2
    heard = np.flatnonzero(log_mel.log_mel(sound).max(1) > log_mel.SILENT + 1)
    np.testing.assert_array_equal(heard, [9, 10])
    sound = np.zeros(640 * 5)
    sound[640 * 2 : 640 * 3] = 0.5
    mel = log_mel.log_mel(sound)[:, 0]
    assert mel[8:12].min() > mel[[7, 12]].max() and mel[[6, 13]].max() < -16

  def test_a_full_sine_is_about_0_and_nothing_is_below_silence(self):
    mel = log_mel.log_mel(tone(0.5, 1000.0, level=1.0))
    assert 0 < mel[10:40].max() < 1  # 1 in its bin, and something in those beside it
    assert log_mel.log_mel(np.zeros(160)).max() == np.float32(log_mel.SILENT)
    assert log_mel.log_mel(np.zeros(0)).shape == (0, 80)

  def test_does_not_depend_on_the_rate_nor_on_pieces(self, monkeypatch):
    whole = log_mel.log_mel(tone(0.5))
    other = log_mel.log_mel(tone(0.5, rate=44_100), 44_100)
    assert whole.shape == other.shape
    band = whole[25].argmax()
    np.testing.assert_allclose(other[5:-5, band], whole[5:-5, band], atol=0.01)
    monkeypatch.setattr(log_mel, '_PIECE', 7)
    np.testing.assert_array_equal(log_mel.log_mel(tone(0.5)), whole)

  def test_level_is_that_of_the_loud_parts(self):
    sound = np.concatenate([np.zeros(8000), tone(0.5, level=0.03), np.zeros(4000)])
    np.testing.assert_allclose(levelled(sound), levelled(7 * sound), rtol=1e-6)
    loud = levelled(sound)
    assert np.sqrt(np.mean(loud[abs(loud) > abs(loud).max() / 10] ** 2)) == pytest.approx(LEVEL)
    assert not levelled(np.zeros(5)).any()


class TestTiming:
  loud = np.full(40_000, 1000, np.int16)

  def edges(self, said, events, samples=None):
    names = said.split()
    expected = [espeak.mnemonics([name]).lstrip("'") for name in names]
    return timing.edges(names, expected, events, self.loud if samples is None else samples, 22050)

  def test_pauses_and_glides_between_are_no_phonemes(self):
    events = [
      (5, 'i:'),
      (900, ';'),
      (1000, "'a"),
      (3000, 'r'),
      (3500, 'k'),
      (4000, '_:'),
      (4200, '_'),
    ]
    np.testing.assert_array_equal(self.edges('IY AE K', events), [0, 1000, 3500, 4000])
    with_r = [(0, "'a"), (3000, 'r'), (3500, '3:'), (4000, '_:')]
    np.testing.assert_array_equal(self.edges('AE R ER', with_r), [0, 3000, 3500, 4000])

  def test_a_stop_begins_with_its_silence(self):
    samples = self.loud.copy()
    samples[3000:4000] = 0
    events = [(0, "'a"), (4010, 'p'), (4500, '_:')]
    np.testing.assert_array_equal(self.edges('AE P', events, samples), [0, 3000, 4500])
    np.testing.assert_array_equal(
      self.edges('AE S', [(0, "'a"), (4010, 's'), (4500, '_:')], samples), [0, 4010, 4500]
    )
    samples[100:4000] = 0  # something is left to the vowel
    np.testing.assert_array_equal(self.edges('AE P', events, samples), [0, 441, 4500])

  def test_what_has_no_length_shares_the_phoneme_before(self):
    events = [(0, "'O:"), (1000, 'r'), (1000, 'n'), (2000, '_:')]
    np.testing.assert_array_equal(self.edges('AO R N', events), [0, 600, 1000, 2000])
    events = [(0, '@'), (1000, 'l'), (1000, '_:')]
    np.testing.assert_array_equal(self.edges('AH L', events), [0, 600, 1000])
    samples = self.loud.copy()
    samples[3000:4000] = 0
    events = [(0, "'O:"), (4000, 'r'), (4000, 't'), (4500, '_:')]
    np.testing.assert_array_equal(self.edges('AO R T', events, samples), [0, 1800, 3000, 4500])

  def test_other_phonemes_have_no_times(self):
    assert self.edges('AE P', [(0, "'a"), (500, '_:')]) is None
    assert self.edges('AE', [(0, "'a"), (500, 'p'), (600, '_:')]) is None
    assert self.edges('AE', [(0, "'a")]) is None


class TestEspeak:
  def test_says_the_same_samples_whatever_was_said_before(self, cache, monkeypatch):
    first = espeak.speak_word('water', 'f3')
    kept = espeak.speak_word('water', 'f3')
    espeak.speak_word('never', 'm1')
    (cache / 'speech').rename(cache / 'aside')
    again = espeak.speak_word('water', 'f3')
    for other in (kept, again):
      np.testing.assert_array_equal(other.sound, first.sound)
      np.testing.assert_array_equal(other.times, first.times)
    assert first.phonemes == ('W', 'AO', 'T', 'ER') and first.sound.dtype == np.float32
    (one,) = (cache / 'speech').iterdir()
    one.write_bytes(one.read_bytes()[:100])  # what is damaged is made anew
    np.testing.assert_array_equal(espeak.speak_word('water', 'f3').sound, first.sound)
    monkeypatch.setattr(espeak.subprocess, 'run', None)
    np.testing.assert_array_equal(espeak.speak_word('water', 'f3').sound, first.sound)

  def test_bundled_recordings_are_made_again_bit_by_bit(self, cache):
    # With noise of breath, whose seed is by itself the time of day, without it, and Klatt's.
    for word, voice, rate in (
      ('water', 'f3', 165),
      ('people', 'm3', 165),
      ('police', 'klatt2', 150),
    ):
      (old,) = (one for one in bundled() if (one.word, one.voice) == (word, voice))
      new = recorded(word, voice, espeak.speak_word(word, voice, rate))
      np.testing.assert_array_equal(new.mel, old.mel)
      np.testing.assert_array_equal(new.times, old.times)
      assert new.phonemes == old.phonemes

  def test_phonemes_sound_when_their_times_say(self, cache):
    said = espeak.speak(['P', 'AH0', 'L', 'IY1', 'S'], 'm3')
    assert len(espeak.voices()) > 90
    mel = log_mel.log_mel(levelled(said.sound))
    hiss = [mel[round(100 * a) + 2 : round(100 * b) - 2, 60:].mean() for a, b in said.times]
    assert np.argmax(hiss) == 4
    tune = [mel[round(100 * a) + 2 : round(100 * b) - 2, 3:20].mean() for a, b in said.times]
    assert tune[3] > tune[4] + 2
    slow = espeak.speak(['P', 'AH0', 'L', 'IY1', 'S'], 'm3', rate=100)
    assert slow.times[-1, 1] > 1.3 * said.times[-1, 1]

  def test_stress_and_bars(self):
    assert espeak.mnemonics(('AH0', 'B', 'AW1', 'T')) == "@|b|'aU|t"
    assert espeak.mnemonics(('B', 'AH', 'T', 'ER')) == "b|'V|t|3:"

  def test_many_phonemes_are_said_or_refused_in_a_short_line(self, cache):
    said = espeak.speak(['AH1', 'AH0', 'B'] * 26, 'f3', rate=300)
    assert len(said.phonemes) == 78 and len(said.sound) > 30_000
    with pytest.raises(DataError, match=r'^300 phonemes are more than espeak-ng can say') as raised:
      espeak.speak(['B', 'AH0', 'AH1'] * 100, 'f3')
    assert len(str(raised.value)) < 130

  @pytest.mark.parametrize(
    ('answer', 'told'),
    [
      ("print('{')", 'its answer is damaged'),
      ('print(\'{"rate": 22050, "events": []}xyz\')', 'its answer is damaged'),
      ("print('{\"rate\": 22050, \"events\": []}'); print('ab', end='x')", 'its answer is damaged'),
      ('print(\'{"rate": 22050, "events": []}\')\nprint(\'abc\')', 'which cannot be timed'),
      ('import time; time.sleep(60)', 'within 0.2 seconds'),
    ],
  )
  def test_nothing_is_kept_of_what_is_not_as_expected(
    self, cache, monkeypatch, tmp_path, answer, told
  ):
    script = tmp_path / 'odd.py'
    script.write_text(answer)
    monkeypatch.setattr(espeak.espeak_process, '__file__', str(script))
    monkeypatch.setattr(espeak, '_PATIENCE', 0.2 if 'sleep' in answer else 60)
    with pytest.raises(DataError, match=told) as raised:
      espeak.speak(['B', 'AH0'] * 50, 'f3')
    assert '\n' not in str(raised.value) and len(str(raised.value)) < 300
    assert not (cache / 'speech').exists()

  @pytest.mark.parametrize(
    ('phonemes', 'voice', 'rate', 'error', 'said'),
    [
      ('AX', 'f3', 150, DataError, "'AX' cannot be spoken"),
      ('B1 AH0', 'f3', 150, DataError, "'B1' cannot be spoken"),
      ('', 'f3', 150, DataError, 'no phonemes'),
      ('AH', 'nobody', 150, ConfigError, "unknown voice 'nobody'; espeak-ng has Alex"),
      ('AH', 'f3', 20, ConfigError, 'rate 20'),
    ],
  )
  def test_refuses_in_one_line(self, phonemes, voice, rate, error, said):
    with pytest.raises(error, match=said) as raised:
      espeak.speak(phonemes.split(), voice, rate)
    assert '\n' not in str(raised.value)

  def test_a_missing_extra_and_a_failed_process_are_one_line(self, cache, monkeypatch, tmp_path):
    with pytest.raises(DataError, match="'nosuchword' is not in CMUdict"):
      espeak.speak_word('nosuchword', 'f3')
    script = tmp_path / 'fails.py'
    script.write_text("raise OSError('no library')")
    monkeypatch.setattr(espeak.espeak_process, '__file__', str(script))
    with pytest.raises(
      DataError, match=r"say .*w\|'O:\|t\|3:.* in en-us\+f3 \(exit 1\): OSError: no library"
    ):
      espeak.speak_word('water', 'f3')
    monkeypatch.setitem(sys.modules, 'espeakng_loader', None)
    espeak._loader.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'jaxgen\[speech\]'"):
      espeak.speak_word('water', 'f3')


class TestBundled:
  def test_all_words_by_twelve_voices(self):
    found = bundled()
    assert [one.word for one in found[::12]] == list(WORDS) and len(found) == 240
    assert len({one.voice for one in found}) == 12
    assert recordings.BUNDLED.stat().st_size < 5e6
    for one in found:
      assert one.mel.shape[1] == 80 and one.mel.dtype == np.float32 and not len(one.mel) % 4
      assert one.phonemes == ('', *find_dictionary().phonemes(one.word), '')
      assert one.times.shape == (len(one.phonemes), 2) and one.times.dtype == np.float64
      assert one.times[0, 0] == 0 and one.times[-1, 1] == pytest.approx(len(one.mel) / 100)
      np.testing.assert_array_equal(one.times[1:, 0], one.times[:-1, 1])
      assert np.diff(one.times).min() > 0.005 and one.times[0, 1] >= 0.2
      assert one.mel[:18].max() == one.mel.min()

  def test_a_damaged_file_is_named(self, tmp_path):
    (tmp_path / 'x.npz').write_bytes(b'nothing')
    with pytest.raises(DataError, match=r'x\.npz: these recordings are damaged'):
      recordings.read(tmp_path / 'x.npz')


class TestFiles:
  def test_reads_channels_and_rates(self, tmp_path):
    left = tone(0.3, rate=44_100)
    both = np.stack([left, np.zeros_like(left)], axis=1)
    found = read_sound(write_wav(tmp_path / 'a.wav', both, 44_100))
    assert found.dtype == np.float32 and abs(len(found) - 4800) <= 1
    np.testing.assert_allclose(found[500:4300], tone(0.3)[500:4300] / 2, atol=0.01)

  def test_samples_that_are_no_numbers_are_silence_and_loud_ones_are_not_cut(self, tmp_path):
    path, sound = tmp_path / 'odd.wav', tone(0.3).astype(np.float32)
    wavfile.write(path, 16_000, 32_767 * sound)
    np.testing.assert_allclose(read_sound(path), sound / np.abs(sound).max(), atol=1e-6)
    odd = sound.copy()
    odd[1000:1010], odd[2000], odd[2001] = np.nan, np.inf, -np.inf
    wavfile.write(path, 16_000, odd)
    np.testing.assert_array_equal(read_sound(path), np.where(np.isfinite(odd), odd, 0))
    wavfile.write(path, 16_000, np.full_like(sound, np.nan))
    with pytest.raises(DataError, match='is silent'):
      read_sound(path)
    wavfile.write(path, 16_000, np.stack([sound, -sound], 1))
    with pytest.raises(
      DataError, match='its channels cancel each other out: save only one of them'
    ):
      read_sound(path)

  def test_sound_begins_where_the_video_does(self, tmp_path):
    av = pytest.importorskip('av')
    with av.open(str(tmp_path / 'late.mkv'), 'w') as out:
      film, track = out.add_stream('mpeg4', rate=25), out.add_stream('pcm_s16le', rate=16_000)
      film.width = film.height = 32
      track.layout = 'mono'
      samples = (tone(0.2) * 32767).astype(np.int16)[None]
      frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
      frame.sample_rate, frame.pts = 16_000, 4000
      for _ in range(20):
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32), np.uint8), format='gray')
        out.mux(film.encode(picture))
      out.mux([*film.encode(), *track.encode(frame), *track.encode()])
    found = read_sound(tmp_path / 'late.mkv')
    assert np.flatnonzero(np.abs(found) > 0.01)[0] == pytest.approx(4000, abs=20)
    assert len(found) == pytest.approx(7200, abs=20)

  @pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
      ('none.wav', None, 'no such sound file'),
      ('empty.wav', b'', 'is empty'),
      ('text.wav', b'these are words', 'is not a readable sound file'),
      ('silent.wav', np.zeros(8000), 'is silent throughout its 0.50 seconds'),
      ('nothing.wav', np.zeros(0), 'is not a readable sound file'),
    ],
  )
  def test_names_what_is_no_sound(self, tmp_path, name, content, said):
    path = tmp_path / name
    if isinstance(content, bytes):
      path.write_bytes(content)
    elif content is not None:
      write_wav(path, content)
    with pytest.raises(DataError, match=said) as raised:
      read_sound(path)
    assert name in str(raised.value) and '\n' not in str(raised.value)

  def test_names_a_video_without_sound_and_a_missing_extra(self, tmp_path, monkeypatch):
    write_video(tmp_path / 'mute.mp4', [np.zeros((32, 32), np.uint8)] * 3)
    with pytest.raises(DataError, match=r'mute.mp4 has no sound \(video\)'):
      read_sound(tmp_path / 'mute.mp4')
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(
      ConfigError, match=r'PyAV is needed for videos and sound files: .*\[video\]'
    ):
      read_sound(tmp_path / 'mute.mp4')


class TestTable:
  def table(self, folder, *rows, seconds=2.0):
    write_wav(folder / 'mine.wav', tone(seconds))
    (folder / 'words.csv').write_text('\n'.join(['file,word,start,end', *rows]))
    return folder / 'words.csv'

  def test_cuts_words_in_whole_frames_with_what_is_said_around(self, tmp_path):
    found = of_table(self.table(tmp_path, 'mine,bee,1.0,1.4', 'mine,ma,0.62,0.9'))
    bee, ma = found
    assert (bee.word, bee.voice, ma.word) == ('bee', 'mine', 'ma')
    assert ma.phonemes == ('', 'M', 'AA', '', 'B') and bee.phonemes == ('AA', '', 'B', 'IY', '')
    # From frame 15 - 5 to 23 + 5, and from 25 - 5 to 35 + 5.
    assert ma.mel.shape == (72, 80) and bee.mel.shape == (80, 80)
    np.testing.assert_allclose(ma.times[[1, 2], [0, 1]], [0.22, 0.5])
    np.testing.assert_allclose(bee.times[[0, 2, 3], [1, 0, 1]], [0.1, 0.2, 0.6])
    for one in found:
      assert one.times[0, 0] == 0 and one.times[-1, 1] == pytest.approx(len(one.mel) / 100)
      np.testing.assert_array_equal(one.times[1:, 0], one.times[:-1, 1])

  def test_stays_within_the_file(self, tmp_path):
    (one,) = of_table(self.table(tmp_path, 'mine.wav,bee,0,0.53', seconds=0.49))
    assert one.phonemes == ('B', 'IY') and one.mel.shape == (52, 80)

  @pytest.mark.parametrize(
    ('rows', 'said'),
    [
      (['mine,bee,1,1.5', 'other,bee,1,1.5'], 'line 3: no sound file other'),
      (
        ['mine,bee,1.9,2.5'],
        r"line 2: 'bee' ends at 2.50 seconds, outside its file mine \(2.00 seconds\)",
      ),
      (['mine,bee,1,1.5', 'mine,ma,1,1.2'], "lines 2 and 3: 'bee' and 'ma' start together in mine"),
      (['mine,nosuchword,1,1.5'], "line 2: 'nosuchword' is not in CMUdict"),
    ],
  )
  def test_names_what_is_wrong(self, tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
      of_table(self.table(tmp_path, *rows))

  def test_names_a_missing_column_and_a_silent_file(self, tmp_path):
    table = self.table(tmp_path, 'mine,bee,1,1.5')
    with pytest.raises(DataError, match=r"no column 'recording'.* rename the clip column"):
      of_table(table, columns={**recordings.COLUMNS, 'clip': 'recording'})
    write_wav(tmp_path / 'mine.wav', np.zeros(32_000))
    with pytest.raises(
      DataError, match=r'words\.csv, line 2: .*mine\.wav is silent.*; replace the file'
    ):
      of_table(table)

  def test_cuts_words_as_they_sound(self, tmp_path):
    table = self.table(tmp_path, 'mine,gruß,1.0,1.4', 'mine.wav,ma,0.62,0.9', 'mine,ma,1.9,2.02')
    found = words_of_table(table)
    one, two, last = found.words  # no dictionary has the first
    assert (one.word, one.voice, two.word) == ('gruß', 'mine', 'ma')
    np.testing.assert_allclose(
      [one.span, two.span, last.span], [[0.04, 0.44], [0.04, 0.32], [0.04, 0.14]]
    )
    assert [x.sound.shape for x in found.words] == [(7680,), (5760,), (2240,)]
    whole = levelled(read_sound(tmp_path / 'mine.wav'))
    np.testing.assert_allclose(one.sound[640:-640], whole[16_000:22_400], atol=1e-4)
    assert np.abs(one.sound[:16]).max() < 0.01 > np.abs(one.sound[-16:]).max()
    again = words_of_table(table, wanted=('ma',))
    assert [x.word for x in again.words] == ['ma', 'ma'] and again.sounds == found.sounds
    write_wav(tmp_path / 'mine.wav', tone(2.1))
    other = words_of_table(table)
    assert other.sounds != found.sounds and other.table == found.table
    write_wav(tmp_path / 'mine.wav', tone(2.0) * (np.arange(32_000) > 20_000))
    with pytest.raises(DataError, match=r"line 3: mine\.wav is silent where 'ma' should be"):
      words_of_table(table)
    with pytest.raises(DataError, match=r"words\.csv has no row for 'be'; it has gruß, ma$"):
      words_of_table(table, wanted=('ma', 'be'))


class TestPacing:
  @pytest.mark.parametrize('rate', [0.5, 0.87, 1.15])
  def test_a_tone_keeps_its_pitch_and_places_move(self, rate):
    sound = tone(0.8)
    sound[: len(sound) // 2] *= 0.1
    found = paced(sound, rate)
    assert found.shape == (round(rate * len(sound)),) and found.dtype == np.float32
    peak = [np.argmax(np.abs(np.fft.rfft(x))) / len(x) for x in (sound, found)]
    assert peak[1] == pytest.approx(peak[0], rel=0.02)
    loud = np.flatnonzero(np.abs(found) > 0.5 * np.abs(found).max())
    assert loud[0] / 16_000 == pytest.approx(0.4 * rate, abs=0.02)
    middle = found[loud[0] + 1000 : -1000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(
      np.sqrt(np.mean(sound[-3000:] ** 2)), rel=0.03
    )

  def test_what_lasts_as_long_is_the_same(self):
    np.testing.assert_array_equal(paced(tone(0.1), 1.0), tone(0.1).astype(np.float32))
    assert not paced(np.zeros(1000), 1.1).any()
