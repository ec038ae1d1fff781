// Reads as much of a wasm module as the tests and the benchmark want to know.

/** The sizes of all functions' code, in bytes. */
export function functionSizes(bytes) {
  let at = 8; // behind the magic number and the version
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const CODE = 10;
  while (at < bytes.length) {
    const section = bytes[at++];
    const end = number() + at;
    if (section === CODE) {
      const sizes = [];
      for (let left = number(); left > 0; left -= 1) {
        const size = number();
        sizes.push(size);
        at += size;
      }
      return sizes;
    }
    at = end;
  }
  throw new Error('no code section');
}
