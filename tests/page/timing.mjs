// How long the decoder takes for a stream, in node (speed.mjs) as in a browser (tests/browser/speed.py).

const ms = (figure) => `${figure.toFixed(0)} ms`;

/** Lines of [what, figure]. page: the module of the package; weights: not loaded yet. */
export async function timings({ decode, Decoder, Kind, read }, data, weights) {
  const { header, chunks } = read(data);
  const lines = [];

  async function shortest(work, times = 5) {
    let best = Infinity;
    for (let i = 0; i < times; i++) {
      const start = performance.now();
      await work();
      best = Math.min(best, performance.now() - start);
    }
    return best;
  }

  /** Shows each chunk of some kinds as it comes; of one of them, milliseconds a chunk. */
  async function steps(kinds, timed) {
    const decoder = await Decoder.open(header, { weights });
    const taken = [];
    for (const chunk of chunks.filter(({ kind }) => kinds.includes(kind))) {
      decoder.push(chunk);
      const start = performance.now();
      await decoder.picture();
      if (chunk.kind === timed) taken.push(performance.now() - start);
    }
    decoder.close();
    return taken;
  }

  function note(what, taken) {
    const sorted = taken.slice(1).sort((a, b) => a - b);
    if (!sorted.length) return;
    lines.push([`${what}: the first`, ms(taken[0])]);
    lines.push([`${what}: median, longest of ${sorted.length} more`, `${ms(sorted[sorted.length >> 1])}, ${ms(sorted.at(-1))}`]);
  }

  const start = performance.now();
  await decode(data.subarray(0, 600), { weights });
  lines.push(["to 600 bytes, the very first, with its weights", ms(performance.now() - start)]);
  lines.push(["to 600 bytes", ms(await shortest(() => decode(data.subarray(0, 600), { weights })))]);
  lines.push(["to 3,000 bytes", ms(await shortest(() => decode(data.subarray(0, 3000), { weights })))]);
  note("a latent chunk shown", await steps([Kind.LATENT], Kind.LATENT));
  note("a residual chunk shown", await steps([Kind.LATENT, Kind.RESIDUAL], Kind.RESIDUAL));
  lines.push([`whole, ${data.length} bytes`, ms(await shortest(() => decode(data, { weights }), 3))]);
  return lines;
}
