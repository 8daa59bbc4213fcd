// What limner wrote into a PNG: the text chunk "limner" holds the settings as JSON.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** The facts in a PNG's bytes (ArrayBuffer), or null. */
export function factsOf(buffer) {
  const bytes = new Uint8Array(buffer);
  if (SIGNATURE.some((byte, at) => bytes[at] !== byte)) return null;
  const view = new DataView(buffer);
  const latin = new TextDecoder("latin1");
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const kind = latin.decode(bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    const end = data.indexOf(0);
    if (kind === "tEXt" && latin.decode(data.subarray(0, end)) === "limner") {
      try { return JSON.parse(latin.decode(data.subarray(end + 1))); } catch { return null; }
    }
    at += 12 + length;
  }
  return null;
}

/** Base64 as a Blob of a PNG. */
export function blobOf(base64) {
  return new Blob([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], { type: "image/png" });
}
