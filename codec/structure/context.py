"""Coding a grid of tokens under a small integer network (EDGES chunks; FORMAT.md, Structure).

A token is a leaf of a binary tree; coding one is a walk from the root, a decision a node. The probabilities of
all decisions of a position come from one evaluation of a network with one hidden layer, whose input is what the
decoder knows there:

    tokens of the 8 neighbours (as learnt vectors) ─┐
    window of the picture decoded so far (0..127) ──┴─► 48 hidden ─► a logit for each node ─► table ─► probability

Positions are visited in four phases (even rows and columns, odd ones, then the two kinds between), each a whole pass:
a neighbour of a later phase counts as unknown. Integers throughout: weights are int8, sums stay below 2^24
(`check`), so float32 matmuls are exact whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder

PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))  # (row, column) modulo 2
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
UNKNOWN = -1  # in a grid of tokens: not decoded
HIDDEN_MAX = 1023
HIDDEN_SHIFT = 6
LOGIT_SHIFT = 6  # logits then are in units of 1/32
LOGIT_MAX = 319

Tokens = NDArray[np.int32]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TokenModel:
    """The tree and the network of one kind of token.

    embedding: int8[K+1,d], the last row is the unknown or outside neighbour. hidden: int8[8d+window,n];
    hidden_bias: int32[4,n], a row a phase. output: int8[n,K-1]; output_bias: int32[K-1]. tree: int16[K-1,2], child for
    decision 0 and 1; a negative child c is the token -1-c. sigmoid: uint16[640], probability of 1 by logit.
    """

    embedding: NDArray[np.int8]
    hidden: NDArray[np.int8]
    hidden_bias: NDArray[np.int32]
    output: NDArray[np.int8]
    output_bias: NDArray[np.int32]
    tree: NDArray[np.int16]
    sigmoid: NDArray[np.uint16]

    @property
    def count(self) -> int:
        """K, the number of tokens."""
        return len(self.tree) + 1

    def check(self) -> None:
        """ValueError unless every sum stays below 2^24 in float32."""
        first = np.abs(self.hidden.astype(np.int64)).sum(0) * 127 + np.abs(self.hidden_bias).max(0)
        second = np.abs(self.output.astype(np.int64)).sum(0) * HIDDEN_MAX + np.abs(self.output_bias)
        if max(first.max(), second.max()) >= 1 << 24:
            raise ValueError("a sum of the token network can reach 2^24")

    @cached_property
    def _floats(self) -> tuple[Floats, Floats]:
        return self.hidden.astype(np.float32), self.output.astype(np.float32)

    def probabilities(self, tokens: Tokens, window: NDArray[np.uint8], phase: int) -> Ints:
        """P(1) * 2^16 of each node at each position of a phase: int[n,K-1].

        tokens: int[h,w] with UNKNOWN where nothing is decoded; window: uint8[h,w,m] in 0..127, m may be 0.
        """
        hidden, output = self._floats
        inputs = self._inputs(tokens, window, phase)
        sums = (inputs @ hidden).astype(np.int32) + self.hidden_bias[phase]
        active = (sums >> HIDDEN_SHIFT).clip(0, HIDDEN_MAX).astype(np.float32)
        logits = (active @ output).astype(np.int32) + self.output_bias
        index = (logits >> LOGIT_SHIFT).clip(-LOGIT_MAX - 1, LOGIT_MAX) + LOGIT_MAX + 1
        return np.asarray(self.sigmoid[index], dtype=np.int64)

    def _inputs(self, tokens: Tokens, window: NDArray[np.uint8], phase: int) -> Floats:
        h, w = tokens.shape
        row, column = PHASES[phase]
        around = np.pad(tokens, 1, constant_values=UNKNOWN)
        parts: list[NDArray[np.integer[Any]]] = []
        for dy, dx in NEIGHBOURS:
            seen = around[1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w][row::2, column::2]
            parts.append(self.embedding[seen].reshape(-1, self.embedding.shape[1]))
        parts.append(window[row::2, column::2].reshape(len(parts[0]), window.shape[2]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    @cached_property
    def paths(self) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        """Nodes and decisions on the way to each token: int[K,depth], filled with -1 behind the leaf."""
        nodes: list[list[int]] = [[] for _ in range(self.count)]
        bits: list[list[int]] = [[] for _ in range(self.count)]
        stack: list[tuple[int, list[int], list[int]]] = [(0, [], [])] if self.count > 1 else []
        while stack:
            node, way, taken = stack.pop()
            for bit in (0, 1):
                child = int(self.tree[node, bit])
                if child < 0:
                    nodes[-1 - child], bits[-1 - child] = [*way, node], [*taken, bit]
                else:
                    stack.append((child, [*way, node], [*taken, bit]))
        depth = max(len(way) for way in nodes)
        return (
            np.array([way + [-1] * (depth - len(way)) for way in nodes], dtype=np.int16),
            np.array([taken + [-1] * (depth - len(taken)) for taken in bits], dtype=np.int8),
        )

    def rates(self, probabilities: Ints) -> Floats:
        """Bits that each token would cost: float32[n,K] (encoder side only)."""
        one = -np.log2(probabilities.astype(np.float32) / 65536)
        zero = -np.log2(1 - probabilities.astype(np.float32) / 65536)
        return np.asarray(zero @ self._on_way[0] + one @ self._on_way[1], dtype=np.float32)

    @cached_property
    def _on_way(self) -> Floats:
        """1 where a decision at a node leads to a token: float32[2,K-1,K]."""
        nodes, bits = self.paths
        on_way = np.zeros((2, self.count - 1, self.count), np.float32)
        token, step = np.nonzero(nodes >= 0)
        on_way[bits[token, step], nodes[token, step], token] = 1
        return on_way


def encode_phase(model: TokenModel, encoder: BitEncoder, tokens: Tokens, probabilities: Ints) -> None:
    """Puts the tokens int[n] of one phase: first the root's decision of every position, then the next level, ..."""
    nodes, bits = model.paths
    for level in range(nodes.shape[1]):
        at = nodes[tokens, level]
        live = np.flatnonzero(at >= 0)
        if not live.size:
            return
        encoder.put(bits[tokens[live], level], probabilities[live, at[live]])


def decode_phase(model: TokenModel, decoder: BitDecoder, probabilities: Ints) -> Tokens:
    """The tokens int[n] of one phase; UNKNOWN where a cut payload left the walk unfinished."""
    node = np.zeros(len(probabilities), dtype=np.int64)
    tokens = np.full(len(probabilities), UNKNOWN, dtype=np.int32)
    live = np.arange(len(probabilities))
    while live.size:
        bits = decoder.get(probabilities[live, node[live]])
        live = live[: len(bits)]
        child = model.tree[node[live], bits].astype(np.int64)
        done = child < 0
        tokens[live[done]] = -1 - child[done]
        live = live[~done]
        node[live] = child[~done]
    return tokens


def put_phase(tokens: Tokens, phase: int, values: Tokens) -> None:
    """Writes the tokens int[n] of one phase into the grid int[h,w]."""
    row, column = PHASES[phase]
    part = tokens[row::2, column::2]
    part[...] = values.reshape(part.shape)


def decode_tokens(
    model: TokenModel, payload: bytes, shape: tuple[int, int], window: NDArray[np.uint8], whole: bool = True
) -> Tokens:
    """The grid of tokens int[h,w] of a payload; UNKNOWN where a cut payload says nothing certain. Never raises."""
    decoder = BitDecoder(payload, whole)
    tokens = np.full(shape, UNKNOWN, dtype=np.int32)
    for phase in range(len(PHASES)):
        if decoder.dry:
            break
        put_phase(tokens, phase, decode_phase(model, decoder, model.probabilities(tokens, window, phase)))
    return tokens
