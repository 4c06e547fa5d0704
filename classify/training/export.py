"""From a trained network to the ONNX file that ships: INT8 weights and activations, built node by node.

Why by hand and not by an exporter: on one core the fused ``SkipLayerNormalization`` of ONNX Runtime 1.31 costs 6 ns an
element against 0.9 ns for Add and LayerNormalization, and activation ranges fixed beforehand (instead of taken from
each batch) let a text score the same alone and among others.

Every matrix product runs on uint8 activations and int8 weights with a scale for each output channel. Activations are
first divided by a factor for each channel, which the weights take over (SmoothQuant, Xiao et al. 2022), so that single
loud channels do not drown the rest; the clipping range of each product is the one with the least error on real texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from classify.encoder import ENCODER, MANIFEST, TOKENIZER
from classify.training.loop import SEED, Encoded, collate, say
from classify.training.network import Network

Array = NDArray[np.float32]

OPSET = 18
_MICROSOFT = "com.microsoft"
_SMOOTH = 0.5
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
_CALIBRATION_TOKENS = 6000
_POINTS = ("attention.self.query", "attention.output.dense", "intermediate.dense", "output.dense")


def activations(network: Network, coded: Sequence[Encoded]) -> list[list[Array]]:
    """Inputs (tokens, width) of the four products of each layer over some texts."""
    encoder: Any = network.encoder
    seen: list[list[list[Array]]] = [[[] for _ in _POINTS] for _ in encoder.encoder.layer]
    mask = torch.zeros(())
    hooks = []

    def keep(layer: int, point: int) -> Any:
        def hook(_: Any, inputs: Any) -> None:
            seen[layer][point].append(inputs[0][mask].numpy())

        return hook

    for number, layer in enumerate(encoder.encoder.layer):
        for point, name in enumerate(_POINTS):
            hooks.append(layer.get_submodule(name).register_forward_pre_hook(keep(number, point)))
    network.eval()
    tokens = 0
    with torch.no_grad():
        for start in range(0, len(coded), 32):
            batch = collate(coded[start : start + 32])
            mask = batch.mask.bool()
            network(batch)
            tokens += int(mask.sum())
            if tokens >= _CALIBRATION_TOKENS:
                break
    for hook in hooks:
        hook.remove()
    return [[np.concatenate(point) for point in layer] for layer in seen]


def build(network: Network, coded: Sequence[Encoded]) -> bytes:
    """The encoder as ONNX: ``ids`` (B, T) int64 and ``lengths`` (B) int32 to ``states`` (B, T, width) float32."""
    encoder: Any = network.encoder
    weights = {name: tensor.detach().numpy() for name, tensor in encoder.state_dict().items()}
    data: bytes = _Builder(weights, encoder.config, activations(network, coded)).model().SerializeToString()
    return data


class _Builder:
    def __init__(self, weights: Mapping[str, Array], config: Any, seen: list[list[Array]]) -> None:
        self._weights = weights
        self._config = config
        self._seen = seen
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self) -> Any:
        width = self._config.hidden_size
        states = self._embeddings()
        for number in range(self._config.num_hidden_layers):
            states = self._layer(number, states)
        self._node("Identity", [states], "states")
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]),
            ],
            [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["texts", "tokens", width])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="shengwen")

    def _embeddings(self) -> str:
        table = self._weights["embeddings.word_embeddings.weight"]
        scale = (np.abs(table).max(1, keepdims=True) / 127 + 1e-12).astype(np.float32)
        rows = self._node("Gather", [self._constant("words", _int8(table / scale)), "ids"], "word_codes")
        scales = self._node("Gather", [self._constant("word_scales", scale), "ids"], "word_scale")
        words = self._node("Mul", [self._node("Cast", [rows], "word_floats", to=TensorProto.FLOAT), scales], "word")
        places = self._weights["embeddings.position_embeddings.weight"][: self._config.max_position_embeddings]
        places = places + self._weights["embeddings.token_type_embeddings.weight"][0]
        length = self._node("Shape", ["ids"], "length", start=1, end=2)
        zero = self._constant("zero", np.array([0], np.int64))
        place = self._node("Slice", [self._constant("places", places), zero, length, zero], "place")
        return self._normal("embeddings.LayerNorm", self._node("Add", [words, place], "embedded"))

    def _layer(self, number: int, states: str) -> str:
        at = f"encoder.layer.{number}."
        parts = [self._linear(f"{at}attention.self.{name}") for name in ("query", "key", "value")]
        loud = np.abs(self._seen[number][1]).max(0)
        out, out_bias = self._linear(f"{at}attention.output.dense")
        # Attention is linear in its values, so the values themselves can be made even for the product after it.
        even = _evened(loud, out)
        parts[2] = (parts[2][0] / even, parts[2][1] / even)
        joined = np.concatenate([weight for weight, _ in parts], 1)
        bias = np.concatenate([bias for _, bias in parts])
        coded, scale, zero, weight, weight_scale, weight_zero = self._product(
            f"{at}qkv", states, joined, self._seen[number][0]
        )
        attended = self._node(
            "QAttention",
            [coded, weight, self._constant(f"{at}qkv.bias", bias), scale, weight_scale, "lengths", zero, weight_zero],
            f"{at}attended",
            _MICROSOFT,
            num_heads=self._config.num_attention_heads,
        )
        seen = self._seen[number][1] / even
        mixed = self._matmul(f"{at}out", attended, out * even[:, None], out_bias, seen, smooth=False)
        states = self._normal(
            f"{at}attention.output.LayerNorm", self._node("Add", [mixed, states], f"{at}attention.sum")
        )
        first, first_bias = self._linear(f"{at}intermediate.dense")
        inner = self._matmul(f"{at}first", states, first, first_bias, self._seen[number][2])
        inner = self._node("Gelu", [inner], f"{at}gelu", _MICROSOFT)
        second, second_bias = self._linear(f"{at}output.dense")
        inner = self._matmul(f"{at}second", inner, second, second_bias, self._seen[number][3])
        return self._normal(f"{at}output.LayerNorm", self._node("Add", [inner, states], f"{at}sum"))

    def _matmul(self, name: str, states: str, weight: Array, bias: Array, seen: Array, *, smooth: bool = True) -> str:
        coded, scale, zero, codes, code_scale, code_zero = self._product(name, states, weight, seen, smooth=smooth)
        return self._node(
            "MatMulIntegerToFloat",
            [coded, codes, scale, code_scale, zero, code_zero, self._constant(f"{name}.bias", bias)],
            f"{name}.product",
            _MICROSOFT,
        )

    def _product(
        self, name: str, states: str, weight: Array, seen: Array, *, smooth: bool = True
    ) -> tuple[str, str, str, str, str, str]:
        """Quantise the input and the weights of one product; returns the names of everything the product takes."""
        if smooth:
            even = _evened(np.abs(seen).max(0), weight)
            states = self._node("Mul", [states, self._constant(f"{name}.even", 1 / even)], f"{name}.evened")
            seen, weight = seen / even, weight * even[:, None]
        code_scale = (np.abs(weight).max(0) / 127 + 1e-12).astype(np.float32)
        codes = _int8(weight / code_scale)
        scale, zero = _range(seen, weight, codes * code_scale)
        names = (
            self._constant(f"{name}.scale", np.float32(scale).reshape(())),
            self._constant(f"{name}.zero", np.uint8(zero).reshape(())),
        )
        coded = self._node("QuantizeLinear", [states, *names], f"{name}.codes")
        return (
            coded,
            *names,
            self._constant(f"{name}.weight", codes),
            self._constant(f"{name}.weight_scale", code_scale),
            self._constant(f"{name}.weight_zero", np.zeros(len(code_scale), np.int8)),
        )

    def _linear(self, name: str) -> tuple[Array, Array]:
        return self._weights[f"{name}.weight"].T.astype(np.float32), self._weights[f"{name}.bias"].astype(np.float32)

    def _normal(self, name: str, states: str) -> str:
        gain = self._constant(f"{name}.gain", self._weights[f"{name}.weight"])
        bias = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        return self._node(
            "LayerNormalization", [states, gain, bias], f"{name}.out", axis=-1, epsilon=self._config.layer_norm_eps
        )

    def _node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def _constant(self, name: str, values: Any) -> str:
        array = np.ascontiguousarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if all(constant.name != name for constant in self._constants):
            shaped = array.reshape(np.shape(values))
            self._constants.append(numpy_helper.from_array(shaped, name))
        return name


def _evened(loud: Array, weight: Array) -> Array:
    """A factor for each channel that shares its loudness between activation and weight."""
    heavy = np.abs(weight).max(1)
    even: Array = np.maximum(np.maximum(loud, 1e-5) ** _SMOOTH / np.maximum(heavy, 1e-5) ** (1 - _SMOOTH), 1e-5)
    shared: Array = (even / np.exp(np.log(even).mean())).astype(np.float32)
    return shared


def _range(seen: Array, weight: Array, rounded: Array) -> tuple[float, int]:
    """Scale and zero point of the activations whose product is nearest to the exact one."""
    sample = seen[:: max(1, len(seen) // 1000)]
    exact = sample @ weight
    low, high = min(float(seen.min()), 0.0), max(float(seen.max()), 1e-6)
    best = (np.inf, 1.0, 0)
    for clip in _CLIPS:
        for sides in {(clip, clip), (1.0, clip), (clip, 1.0)} if clip < 1 else {(1.0, 1.0)}:
            scale = (high * sides[1] - low * sides[0]) / 255
            zero = round(-low * sides[0] / scale)
            codes = np.clip(np.rint(sample / scale) + zero, 0, 255)
            error = float(np.square(((codes - zero) * scale) @ rounded - exact).sum())
            best = min(best, (error, scale, zero))
    return best[1], best[2]


def _int8(values: Array) -> NDArray[np.int8]:
    return np.clip(np.rint(values), -127, 127).astype(np.int8)


def write_encoder(network: Network, calibration: Sequence[Encoded], base: Path, out: Path, *, name: str) -> None:
    """The INT8 file, the tokenizer and the manifest that vouches for both."""
    out.mkdir(parents=True, exist_ok=True)
    say(f"量化并写出 {out}")
    model = build(network, calibration)
    onnx.checker.check_model(onnx.load_from_string(model))
    (out / ENCODER).write_bytes(model)
    (out / TOKENIZER).write_bytes((base / "tokenizer.json").read_bytes())
    config = network.encoder.config
    write_manifest(out, {"name": name, "width": config.hidden_size, "padding": config.pad_token_id, "seed": SEED})


def write_manifest(out: Path, notes: dict[str, object]) -> None:
    """List every file of the folder with its SHA-256; ``notes`` come first."""
    listed = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.iterdir())
        if path.suffix in (".onnx", ".npz") or path.name == TOKENIZER
    }
    text = json.dumps({**notes, "sha256": listed}, ensure_ascii=False, indent=2)
    (out / MANIFEST).write_text(text + "\n", "utf-8")
