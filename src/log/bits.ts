/** A row of bits that grows. */

export class Bits {
  #bytes = new Uint8Array(64);

  get(at: number): boolean {
    return ((this.#bytes[at >>> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  set(at: number, value: boolean): void {
    const byte = at >>> 3;
    if (byte >= this.#bytes.length) {
      if (!value) return;
      const larger = new Uint8Array(Math.max(byte + 1, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const bit = 1 << (at & 7);
    if (value) this.#bytes[byte]! |= bit;
    else this.#bytes[byte]! &= ~bit;
  }
}
