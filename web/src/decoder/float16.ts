/** Widens the float16 numbers that embeddings travel as; browsers' own float16 is too new. */

let table: Float32Array | undefined;

/** Return the same numbers as float32. */
export function widen(halves: Uint16Array): Float32Array<ArrayBuffer> {
  table ??= makeTable();
  const wide = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) wide[i] = table[halves[i]!]!;
  return wide;
}

function makeTable(): Float32Array {
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) values[bits] = fromBits(bits);
  return values;
}

function fromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
