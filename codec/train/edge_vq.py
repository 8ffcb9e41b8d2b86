"""Trains the codebooks of edge patches and their context networks: codec/weights/<set>/edge_vq.safetensors.

Maps come from the edge network (train codec.train.edges first) on the photos whose terms allow learning. For each
step, coarse then fine, in rounds:

    tokens of all maps (codec.structure.search, with the codec's own integer probabilities)
      ─► codebook: every atom moves to the mean of what its windows still lack
      ─► context network: cross entropy of the decisions, weights rounded to int8 in the forward pass
      ─► price: raised or lowered until the mean chunk has the wanted size

so rate and distortion are learnt together (entropy-constrained vector quantisation).

    python -m codec.train.edge_vq --data FOLDER --work FOLDER [--set base|tiny] [--rounds N] [--device cuda]

Resumes from the checkpoints in --work.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.structure.codebook import LEVEL, STEPS, Codebook
from codec.structure.context import LOGIT_MAX, NEIGHBOURS, PHASES, UNKNOWN, TokenModel
from codec.structure.edges import extract
from codec.structure.search import choose
from codec.train.edges import WEIGHTS, free_photos, held_out, read_base

CELL, REACH = {"coarse": 8, "fine": 4}, {"coarse": 12, "fine": 8}
# per set: tokens, length of a neighbour's vector, hidden units
SIZES = {"base": (256, 10, 48), "tiny": (16, 3, 8)}
BYTES = {"coarse": 120, "fine": 280}  # wanted mean of a chunk for a 768x512 picture
REFERENCE = 192 * 128  # pixels of that picture's map
EMBEDDING_UNIT, WEIGHT_UNIT = 32, 64
PRICES = {"coarse": 8000.0, "fine": 2500.0}  # to begin with, squared levels a bit
ROUNDS_OF_MARGINALS = 3

Edges = list[tuple[np.ndarray, bool]]  # map uint8[mh,mw], held out


@dataclass
class Sample:
    """A map, turned and mirrored, and what is painted of it already (the coarse picture in the fine step)."""

    target: np.ndarray  # uint8[mh,mw]
    under: np.ndarray  # int32, whole coarse cells
    held: bool


def maps(args: argparse.Namespace) -> Edges:
    """(edge map, held out) of each photo; kept in --work."""
    result = []
    for path in free_photos(Path(args.data))[: args.photos]:
        cached = Path(args.work) / f"map_{args.set}_{path.stem}.npy"
        if not cached.exists():
            np.save(cached, extract(read_base(path), args.set))
        result.append((np.load(cached), held_out(path)))
    return result


def samples(edges: Edges, coarse: Codebook | None, seed: int) -> list[Sample]:
    """One turned or mirrored copy of each map; held-out maps stay as they are."""
    rng = np.random.default_rng(seed)
    result = []
    for target, held in edges:
        if not held:
            target = np.rot90(target, int(rng.integers(4)))
            target = target[:, ::-1] if rng.integers(2) else target
        target = np.ascontiguousarray(target)
        under = np.zeros([n + -n % CELL["coarse"] for n in target.shape], np.int32)
        if coarse is not None:
            under = under + coarse.paint(choose(coarse, target, under, coarse.price)[0])
        result.append(Sample(target, under, held))
    return result


def first_atoms(step: str, data: list[Sample], count: int, rng: np.random.Generator) -> np.ndarray:
    """Zero and the centres of k-means over windows that hold something: int16[K,reach,reach]."""
    from scipy.cluster.vq import kmeans2

    reach, cell = REACH[step], CELL[step]
    margin = (reach - cell) // 2
    found = []
    for sample in data:
        lack = np.zeros(sample.under.shape, np.float32)
        lack[: sample.target.shape[0], : sample.target.shape[1]] = sample.target
        lack = np.pad(lack - sample.under / LEVEL, margin)
        for _ in range(60):
            y, x = (int(rng.integers(n - reach + 1)) for n in lack.shape)
            found.append(lack[y : y + reach, x : x + reach])
    windows = np.stack(found)
    energy = (windows**2).mean((1, 2))
    windows = windows[energy > np.quantile(energy, 0.4)]
    ramp = np.minimum(1, (np.minimum(np.arange(reach), np.arange(reach)[::-1]) + 1) / (2 * margin + 1))
    flat = (windows * ramp[:, None] * ramp).reshape(len(windows), -1)
    centres, _ = kmeans2(flat, count - 1, iter=8, minit="points", rng=rng)
    atoms = np.concatenate([np.zeros((1, flat.shape[1])), centres]).reshape(-1, reach, reach)
    return (atoms * LEVEL).round().astype(np.int16)


def grow_tree(atoms: np.ndarray, used: np.ndarray) -> np.ndarray:
    """int16[K-1,2]: the root parts token 0 from the rest; below, the rest is halved by use along its main direction."""
    points = atoms.reshape(len(atoms), -1).astype(np.float64)
    tree: list[list[int]] = []

    def grow(tokens: np.ndarray) -> int:
        if len(tokens) == 1:
            return -1 - int(tokens[0])
        node = len(tree)
        tree.append([0, 0])
        if 0 in tokens:
            left, right = tokens[tokens == 0], tokens[tokens != 0]
        else:
            weight = used[tokens] + 1.0
            centred = points[tokens] - np.average(points[tokens], axis=0, weights=weight)
            axis = np.linalg.svd(centred * np.sqrt(weight)[:, None], full_matrices=False)[2][0]
            order = np.argsort(centred @ axis, kind="stable")
            share = np.cumsum(weight[order]) / weight.sum()
            least = max(1, len(tokens) // 4)
            cut = int(np.clip(np.searchsorted(share, 0.5) + 1, least, len(tokens) - least))
            left, right = tokens[order[:cut]], tokens[order[cut:]]
        tree[node] = [grow(left), grow(right)]
        return node

    grow(np.arange(len(atoms)))
    return np.array(tree, dtype=np.int16)


def rounded(value: Tensor, unit: int, limit: int) -> Tensor:
    """`value` as an integer in 1/unit, clipped; the gradient passes straight through."""
    whole = (value * unit).round().clamp(-limit, limit)
    return (value * unit) + (whole - value * unit).detach()


class ContextNetwork(nn.Module):
    """The float twin of codec.structure.context.TokenModel; activations are in the integer network's units."""

    def __init__(self, tokens: int, vector: int, hidden: int, window: int) -> None:
        super().__init__()
        inputs = len(NEIGHBOURS) * vector + window
        self.embedding = nn.Parameter(torch.randn(tokens + 1, vector) * 0.5)
        self.hidden = nn.Parameter(torch.randn(inputs, hidden) * inputs**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(len(PHASES), hidden))
        self.output = nn.Parameter(torch.randn(hidden, tokens - 1) * 0.05)
        self.output_bias = nn.Parameter(torch.zeros(tokens - 1))

    def integers(self) -> dict[str, Tensor]:
        sums = EMBEDDING_UNIT * WEIGHT_UNIT
        return {
            "embedding": rounded(self.embedding, EMBEDDING_UNIT, 127),
            "hidden": rounded(self.hidden, WEIGHT_UNIT, 127),
            "hidden_bias": rounded(self.hidden_bias, sums, 1 << 20),
            "output": rounded(self.output, WEIGHT_UNIT, 127),
            "output_bias": rounded(self.output_bias, sums, 1 << 15),
        }

    def forward(self, around: Tensor, window: Tensor, phase: Tensor) -> Tensor:
        """Logits [n,K-1] for neighbours [n,8], window [n,m] in 0..127 and phase [n]."""
        own = self.integers()
        vectors = own["embedding"][around].flatten(1)
        active = (torch.cat([vectors, window], 1) @ own["hidden"] + own["hidden_bias"][phase]) / 64
        active = active.clamp(0, 1023)
        return (active @ own["output"] + own["output_bias"]) / (EMBEDDING_UNIT * WEIGHT_UNIT)


def token_model(network: ContextNetwork, tree: np.ndarray) -> TokenModel:
    """The integer network that the codec will use."""
    own = {name: value.detach().cpu().numpy() for name, value in network.integers().items()}
    logits = (np.arange(2 * LOGIT_MAX + 2) - LOGIT_MAX - 1 + 0.5) / 32
    sigmoid = (65536 / (1 + np.exp(-logits))).round().clip(1, 65535).astype(np.uint16)
    narrow = {name: own[name].astype(np.int8) for name in ("embedding", "hidden", "output")}
    wide = {name: own[name].astype(np.int32) for name in ("hidden_bias", "output_bias")}
    return TokenModel(**narrow, **wide, tree=tree, sigmoid=sigmoid)


def observe(book: Codebook, sample: Sample, tokens: np.ndarray) -> tuple[np.ndarray, ...]:
    """What the network learns from one map: neighbours [n,8], windows [n,m], phases [n], tokens [n]."""
    seen = book.window(sample.under)
    order = np.full(tokens.shape, 0)
    for number, (row, column) in enumerate(PHASES):
        order[row::2, column::2] = number
    h, w = tokens.shape
    known = np.pad(tokens, 1, constant_values=UNKNOWN)
    phase = np.pad(order, 1, constant_values=len(PHASES))
    around = []
    for dy, dx in NEIGHBOURS:
        at = (slice(1 + dy, 1 + dy + h), slice(1 + dx, 1 + dx + w))
        around.append(np.where(phase[at] < order, known[at], UNKNOWN))
    columns = np.stack(around, 2).reshape(h * w, -1)
    columns[columns == UNKNOWN] = book.model.count  # the last row of the table
    return columns.astype(np.int16), seen.reshape(h * w, -1), order.reshape(-1), tokens.reshape(-1)


def learn_context(
    network: ContextNetwork, model: TokenModel, seen: list[np.ndarray], steps: int, args: argparse.Namespace
) -> float:
    """Trains on observations; the mean bits of a token over the last steps."""
    nodes, bits = (torch.from_numpy(part.astype(np.int64)).to(args.device) for part in model.paths)
    around, window, phase, tokens = (torch.from_numpy(part).to(args.device) for part in seen)
    optimiser = torch.optim.Adam(network.parameters(), lr=args.rate)
    generator = torch.Generator().manual_seed(args.seed)
    mean = 0.0
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = args.rate * (1 - 0.9 * step / steps)
        pick = torch.randint(len(tokens), (1024,), generator=generator).to(args.device)
        logits = network(around[pick].long(), window[pick].float(), phase[pick].long())
        way, wanted = nodes[tokens[pick].long()], bits[tokens[pick].long()]
        taken = logits.gather(1, way.clamp(min=0))
        losses = F.binary_cross_entropy_with_logits(taken, wanted.clamp(min=0).float(), reduction="none")
        loss = (losses * (way >= 0)).sum(1).mean() / np.log(2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
    return mean


def move_atoms(book: Codebook, data: list[Sample], grids: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Atoms moved to the mean of what their windows lack, in three damped steps; unused ones start anew."""
    atoms = book.atoms.astype(np.float64)
    reach, cell, margin = book.reach, book.cell, book.margin
    for turn in range(3):
        now = replace(book, atoms=atoms.round().astype(np.int16))
        total = np.zeros_like(atoms)
        weight = np.zeros_like(atoms)
        used = np.zeros(len(atoms))
        worst: list[tuple[float, np.ndarray]] = []
        for sample, tokens in zip(data, grids, strict=True):
            mask = np.zeros(sample.under.shape)
            mask[: sample.target.shape[0], : sample.target.shape[1]] = 1
            lack = -(sample.under + now.paint(tokens)).astype(np.float64)
            lack[: sample.target.shape[0], : sample.target.shape[1]] += sample.target.astype(np.float64) * LEVEL
            lack, mask = np.pad(lack * mask, margin), np.pad(mask, margin)
            h, w = tokens.shape
            flat = tokens.reshape(-1)
            used += np.bincount(flat, minlength=len(atoms))
            for dy in range(reach):
                for dx in range(reach):
                    part = lack[dy::cell, dx::cell][:h, :w].reshape(-1)
                    valid = mask[dy::cell, dx::cell][:h, :w].reshape(-1)
                    total[:, dy, dx] += np.bincount(flat, part, len(atoms))
                    weight[:, dy, dx] += np.bincount(flat, valid, len(atoms))
            y, x = (int(rng.integers(n - reach + 1)) for n in lack.shape)
            window = lack[y : y + reach, x : x + reach]
            worst.append((float((window**2).sum()), window * 0.7))
        atoms += 0.7 * total / (weight + 2.0)
        atoms[0] = 0
        if turn == 0:
            unused = [int(token) for token in np.flatnonzero(used < 3) if token]
            worst.sort(key=lambda pair: -pair[0])
            for token, (_, window) in zip(unused, worst, strict=False):
                atoms[token] = window
    return atoms.round().clip(-2040, 2040).astype(np.int16)


@dataclass
class Learner:
    """What a step has learnt so far; saved after every round."""

    step: str
    atoms: np.ndarray
    tree: np.ndarray
    price: float
    network: ContextNetwork
    rounds: int = 0

    def book(self) -> Codebook:
        model = token_model(self.network, self.tree)
        return Codebook(model, self.atoms, CELL[self.step], self.step == "fine", self.price)

    def save(self, path: Path) -> None:
        state = {name: getattr(self, name) for name in ("atoms", "tree", "price", "rounds")}
        torch.save({**state, "network": self.network.state_dict()}, path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=False)
        self.network.load_state_dict(state.pop("network"))
        for name, value in state.items():
            setattr(self, name, value)


def learn_step(step: str, edges: Edges, coarse: Codebook | None, args: argparse.Namespace) -> Codebook:
    """The codebook of one step."""
    torch.manual_seed(args.seed)
    count, vector, hidden = SIZES[args.set]
    network = ContextNetwork(count, vector, hidden, 64 if step == "fine" else 0).to(args.device)
    learner = Learner(step, np.empty(0), np.empty(0), PRICES[step], network)
    checkpoint = Path(args.work) / f"edge_vq_{args.set}_{step}.pt"
    if checkpoint.exists():
        learner.restore(checkpoint)
    else:
        rng = np.random.default_rng(args.seed)
        learner.atoms = first_atoms(step, samples(edges, coarse, args.seed), count, rng)
        learner.tree = grow_tree(learner.atoms, np.ones(count))
        torch.nn.init.zeros_(network.output)
    seen: list[list[np.ndarray]] = []
    while learner.rounds < args.rounds:
        one_round(learner, samples(edges, coarse, args.seed + learner.rounds), seen, args)
        learner.save(checkpoint)
    return learner.book()


def one_round(learner: Learner, data: list[Sample], seen: list[list[np.ndarray]], args: argparse.Namespace) -> None:
    """Tokens, atoms, contexts, price. `seen` holds the observations of the last rounds."""
    started, book = time.time(), learner.book()
    chosen = [choose(book, sample.target, sample.under, book.price, args.sweeps) for sample in data]
    size, error = held_figures(book, data, chosen)
    pupils = [(sample, tokens) for sample, (tokens, _) in zip(data, chosen, strict=True) if not sample.held]
    rng = np.random.default_rng((args.seed, learner.rounds))
    learner.atoms = move_atoms(book, [pair[0] for pair in pupils], [pair[1] for pair in pupils], rng)
    used = np.sum([np.bincount(tokens.reshape(-1), minlength=book.model.count) for _, tokens in pupils], axis=0)
    bits = 0.0
    if learner.rounds < ROUNDS_OF_MARGINALS:
        learner.tree = grow_tree(learner.atoms, used)
        marginals(learner.network, learner.tree, used)
    else:
        if learner.rounds == ROUNDS_OF_MARGINALS:
            torch.nn.init.normal_(learner.network.output, std=0.05)
        parts = zip(*(observe(book, sample, tokens) for sample, tokens in pupils), strict=True)
        seen.append([np.concatenate(part) for part in parts])
        del seen[:-3]
        last = learner.rounds == args.rounds - 1
        joined = [np.concatenate(part) for part in zip(*seen, strict=True)]
        bits = learn_context(learner.network, book.model, joined, args.steps * (3 if last else 1), args)
    learner.price = book.price * float(np.clip(size / BYTES[learner.step], 0.5, 2.0)) ** 0.8
    learner.rounds += 1
    print(
        f"{learner.step} round {learner.rounds}/{args.rounds}: {size:.0f} B, {error:.2f} dB, {bits:.2f} bits a token,"
        f" {np.count_nonzero(used)} tokens used, next price {learner.price:.0f}, {time.time() - started:.0f} s",
        flush=True,
    )


def held_figures(book: Codebook, data: list[Sample], chosen: list[tuple[np.ndarray, bytes]]) -> tuple[float, float]:
    """Bytes for a map of the reference size and PSNR of the painted map, means over the held-out maps."""
    sizes, errors = [], []
    for sample, (tokens, payload) in zip(data, chosen, strict=True):
        if sample.held:
            sizes.append(len(payload) / sample.target.size * REFERENCE)
            errors.append(psnr(book, sample, tokens))
    return float(np.mean(sizes)), float(np.mean(errors))


def psnr(book: Codebook, sample: Sample, tokens: np.ndarray) -> float:
    """dB of the painted map against its target."""
    painted = ((sample.under + book.paint(tokens)) / LEVEL).clip(0, 255)[
        : sample.target.shape[0], : sample.target.shape[1]
    ]
    return float(10 * np.log10(65025 / max(1e-9, np.mean((painted - sample.target) ** 2))))


def marginals(network: ContextNetwork, tree: np.ndarray, used: np.ndarray) -> None:
    """Sets the output's bias to the plain frequency of each decision (the first rounds know no contexts)."""

    def below(node: int) -> float:
        if node < 0:
            return float(used[-1 - node]) + 0.5
        zero, one = below(int(tree[node, 0])), below(int(tree[node, 1]))
        bias[node] = np.log(one / zero)
        return zero + one

    bias = np.zeros(len(tree))
    below(0)
    with torch.no_grad():
        network.output_bias.copy_(torch.from_numpy(bias))


def export(books: dict[str, Codebook], path: Path) -> None:
    from safetensors.numpy import save_file

    arrays: dict[str, np.ndarray] = {"sigmoid": books["coarse"].model.sigmoid}
    for step, book in books.items():
        book.model.check()
        for name in ("embedding", "hidden", "hidden_bias", "output", "output_bias", "tree"):
            arrays[f"{step}.{name}"] = np.ascontiguousarray(getattr(book.model, name))
        arrays[f"{step}.atoms"] = book.atoms
        arrays[f"{step}.price"] = np.array([round(book.price)], dtype=np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", default=os.environ.get("LAYERCAST_DATA"), help="folder with photos/SOURCES.tsv")
    parser.add_argument("--work", required=True, help="folder for maps and checkpoints")
    parser.add_argument("--set", choices=sorted(SIZES), default="base")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=600, help="of the context network, each round")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--sweeps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if not args.data:
        parser.error("--data or LAYERCAST_DATA is needed")
    if args.device == "cpu":
        torch.set_num_threads(1)
    edges = maps(args)
    books: dict[str, Codebook] = {}
    for step in STEPS:
        books[step] = learn_step(step, edges, books.get("coarse"), args)
    export(books, WEIGHTS / args.set / "edge_vq.safetensors")


if __name__ == "__main__":
    main()
