// UTF-8 in both directions. QuickJS has no TextEncoder, and a loop over bytes is slow there; what it has natively (base64, and the old
// escapes of URLs) does the same in a few steps.

const isNative = typeof TextEncoder === "function" && typeof TextDecoder === "function";
const encoder = isNative ? new TextEncoder() : undefined;
const decoder = isNative ? new TextDecoder() : undefined;

const ASCII = /^[\x00-\x7f]*$/;

/** @param {string} text @returns {Uint8Array} */
export function encode(text) {
  if (encoder) return encoder.encode(text);
  if (text.length === 0) return new Uint8Array(0);
  const bytes = ASCII.test(text) ? text : unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.fromBase64(btoa(bytes));
}

/** @param {Uint8Array} bytes @returns {string} */
export function decode(bytes) {
  if (decoder) return decoder.decode(bytes);
  return fromLatin1(latin1(bytes));
}

/** A string with a character for each byte. */
export function latin1(bytes) {
  if (bytes.toBase64 && !isNative) return bytes.length === 0 ? "" : atob(bytes.toBase64());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  return text;
}

/** The text that such a string stands for. */
export function fromLatin1(text) {
  if (ASCII.test(text)) return text;
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return lossy(text);
  }
}

/** With U+FFFD for what is no UTF-8. */
function lossy(text) {
  return text.replace(/[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x80-\xff]/g, (bytes) => {
    try {
      return decodeURIComponent(escape(bytes));
    } catch {
      return "\ufffd";
    }
  });
}

/** Makes `TextEncoder` and `TextDecoder` where the engine has none. */
export function install() {
  if (isNative) return;
  globalThis.TextEncoder = class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return encode(String(text)); }
    encodeInto(text, target) {
      let read = 0, written = 0;
      for (const character of text) {
        const bytes = encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  };
  globalThis.TextDecoder = class TextDecoder {
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder: only utf-8, not ${label}`);
      this.encoding = "utf-8";
      this.fatal = fatal;
      this.ignoreBOM = ignoreBOM;
    }
    decode(input = new Uint8Array(0)) {
      const bytes = input instanceof Uint8Array ? input : new Uint8Array(input.buffer ?? input);
      const raw = latin1(bytes);
      if (this.fatal && !ASCII.test(raw)) {
        try {
          decodeURIComponent(escape(raw));
        } catch {
          throw new TypeError("The encoded data was not valid UTF-8");
        }
      }
      const text = fromLatin1(raw);
      return !this.ignoreBOM && text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  };
}
