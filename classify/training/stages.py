"""The stages of a training run, in order; each leaves its result in the work folder and is skipped when it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from classify.encoder import MANIFEST, TOKENIZER, Encoder
from classify.labelled import Labelled, invented, real
from classify.training.distil import answer, distilling_loss
from classify.training.export import write_encoder
from classify.training.finish import finish
from classify.training.loop import Encoded, Plan, encode, fit, say
from classify.training.material import Example, own_examples, public_examples, taxonomy_examples, unlabelled_examples
from classify.training.network import Network, pretrained, thin
from classify.training.probe import probe

LAYERS = 5
"""Of the student. Six take a fifth longer and would miss a thousand reviews a second on two cores."""

_PROBE_PULL = 3.0
_LONGEST = 96
_LONGEST_OWN = 160
_UNLABELLED = 40_000
_OWN_TIMES = 3
_DISTILLED = 154
"""Of 256: the share of the public sets that the student learns from."""

_PLAIN = ("real", "taxonomy", "hard", "other", "plain", "product", "safety", "service")
"""What our first passes read; the files that were written for what it then still got wrong come after."""
_REPLAYED = 38
"""Of 256: the share of the public sets that stays in the teacher's second stage."""

GENERAL = Plan("teacher-general", epochs=1, rate=8e-5, frozen=4)
OWN = Plan("teacher-own", epochs=1, rate=4e-5, frozen=4)
AGAIN = Plan("teacher-again", epochs=1, rate=6e-5, frozen=4)
HARD = Plan("teacher-hard", epochs=1, rate=6e-5, frozen=4)
STUDENT = Plan("student", epochs=1, rate=1.2e-4, frozen=0, last_rate=0.02)
PUBLIC = Plan("student-public", epochs=1, rate=1e-4, frozen=0)
LAST = Plan("student-last", epochs=1, rate=6e-5, frozen=0, last_rate=0.02)


def run(data: Path, base: Path, work: Path, out: Path) -> None:
    """Everything from the pretrained encoder to the files that ship."""
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    public = public_examples(data)
    own = labelled(data)
    unlabelled = unlabelled_examples(data, _UNLABELLED)
    for name, part in (("公开数据", public), ("自己标注", own), ("未标注", unlabelled)):
        say(f"{name} {len(part):,} 条")
    teacher = train_teacher(base, tokenizer, public, own, work)
    calibration = encode(tokenizer, unlabelled[:400] + own[:200], _LONGEST)
    large = work / "teacher"
    if not (large / MANIFEST).exists():
        write_encoder(teacher, calibration, base, large, name="teacher")
    whole = public_examples(data, everything=True)
    student = train_student(teacher, Encoder(large), tokenizer, public, own, unlabelled, whole, work)
    write_encoder(student, calibration, base, out, name="shengwen-encoder/1")
    exact = work / "fp32"  # what the evaluation compares the INT8 file with
    student.encoder.save_pretrained(exact)
    (exact / TOKENIZER).write_bytes((base / "tokenizer.json").read_bytes())
    finish(student, data, out)


def labelled(data: Path) -> list[Example]:
    """Our own labelled texts that training may see, and the taxonomy's example sentences."""
    texts: list[Labelled] = [*invented(), *real(data)]
    seen = [each for each in texts if not each.kept_back and not each.tuning]
    return [*own_examples(seen, 1.0), *taxonomy_examples()]


def train_teacher(
    base: Path, tokenizer: Tokenizer, public: Sequence[Example], own: Sequence[Example], work: Path
) -> Network:
    """All layers of the pretrained encoder, first on the public sets, then on our labels with some of the former.

    Our labels come twice: the first time shapes the encoder, the second starts from heads that were fitted to it.
    """
    network = pretrained(base)
    if not (work / f"{OWN.name}.done.pt").exists():
        fit(network, encode(tokenizer, public, _LONGEST), GENERAL, work)
    replayed = encode(tokenizer, _share(public, 3, _REPLAYED), _LONGEST)
    plain = [each for each in own if each.source in _PLAIN]
    both = encode(tokenizer, [*plain, *plain], _LONGEST_OWN) + replayed
    fit(network, both, OWN, work)
    if not (work / f"{AGAIN.name}.done.pt").exists() and not (work / f"{AGAIN.name}.part.pt").exists():
        say("拟合教师模型的分类头")
        probe(network, both[: len(plain)], _PROBE_PULL)
    fit(network, both, AGAIN, work)
    fit(network, encode(tokenizer, [*own, *own, *own], _LONGEST_OWN) + replayed, HARD, work)
    return network


def train_student(
    teacher: Network,
    large: Encoder,
    tokenizer: Tokenizer,
    public: list[Example],
    own: list[Example],
    unlabelled: list[Example],
    whole: list[Example],
    work: Path,
) -> Network:
    """Some of the teacher's layers: they learn its answers, then labels, ``whole`` of the public ones, last ours."""
    student = teacher
    if (work / f"{STUDENT.name}.done.pt").exists():
        thin(student.encoder, LAYERS)
        fit(student, [], STUDENT, work)
    else:
        some = _share(public, 4, _DISTILLED)
        answers = answer(large, teacher, [*some, *own, *unlabelled], work)
        after = len(some), len(some) + len(own)
        mine, theirs = answers[after[0] : after[1]], answers[after[1] :]
        coded = encode(tokenizer, [*some, *own * _OWN_TIMES, *unlabelled], _LONGEST_OWN)
        for each, wanted in zip(coded, [*answers[: after[0]], *mine * _OWN_TIMES, *theirs], strict=True):
            each.targets = wanted
            if each.example.source in ("shopping", "weibo", "cosmetics"):
                _shorten(each, _LONGEST)
        thin(student.encoder, LAYERS)
        fit(student, coded, STUDENT, work, distilling_loss)
    fit(student, encode(tokenizer, whole, _LONGEST), PUBLIC, work)
    replayed = encode(tokenizer, _share(whole, 3, _REPLAYED), _LONGEST)
    fit(student, encode(tokenizer, [*own, *own, *own], _LONGEST_OWN) + replayed, LAST, work)
    _average(student, work / f"{STUDENT.name}.done.pt")
    return student


def _average(student: Network, earlier: Path) -> None:
    """Half-way between what it was and what it became: it keeps more of what it knew of other kinds of text
    (Wortsman et al. 2022, WiSE-FT)."""
    was = torch.load(earlier, weights_only=True)
    now = student.state_dict()
    student.load_state_dict({k: (was[k] + v) / 2 if v.is_floating_point() else v for k, v in now.items()})


def _share(examples: Sequence[Example], byte: int, most: int) -> list[Example]:
    """The texts whose hash has a byte below ``most``: a share of them, always the same."""
    return [e for e in examples if hashlib.sha256(e.text.encode("utf-8", "surrogatepass")).digest()[byte] < most]


def _shorten(each: Encoded, longest: int) -> None:
    if len(each.ids) > longest:
        each.ids = [*each.ids[: longest - 1], each.ids[-1]]
