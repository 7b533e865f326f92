// One-time codes (RFC 6238). The secret is a key that the browser computes with and does not show.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const hashes = { SHA1: "SHA-1", SHA256: "SHA-256", SHA512: "SHA-512" };

/** usual is what a joined account's codes are. */
export const usual = { algorithm: "SHA1", digits: 6, period: 30 };

/** readSecret decodes Base32 as people copy it; undefined where it is none. */
export function readSecret(text) {
  const plain = text.toUpperCase().replace(/[\s-]/g, "").replace(/=+$/, "");
  const bytes = [];
  let bits = 0, value = 0;
  for (const c of plain) {
    const index = alphabet.indexOf(c);
    if (index < 0) return undefined;
    value = (value << 5) | index;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >>> bits) & 0xff);
      value &= (1 << bits) - 1;
    }
  }
  return bytes.length > 0 ? new Uint8Array(bytes) : undefined;
}

/** codeKey makes a secret a key that cannot be exported. */
export async function codeKey(secret, algorithm = usual.algorithm) {
  return crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: hashes[algorithm] }, false, ["sign"]);
}

async function hotp(key, counter, digits) {
  const message = new DataView(new ArrayBuffer(8));
  message.setUint32(0, Math.floor(counter / 2 ** 32));
  message.setUint32(4, counter >>> 0);
  const sum = new DataView(await crypto.subtle.sign("HMAC", key, message.buffer));
  const offset = sum.getUint8(sum.byteLength - 1) & 0x0f;
  const value = (sum.getUint32(offset) & 0x7fffffff) % 10 ** digits;
  return String(value).padStart(digits, "0");
}

/** codesAt is the code of a time in ms, the one that follows, and the ms until then. */
export async function codesAt(account, time) {
  const { digits, period } = account.totp;
  const step = Math.floor(time / 1000 / period);
  const [code, next] = await Promise.all([hotp(account.codes, step, digits), hotp(account.codes, step + 1, digits)]);
  return { code, next, step };
}

/** left is how many seconds a code of this time still holds. */
export function left(account, time) {
  return account.totp.period - (time / 1000) % account.totp.period;
}

/** grouped is a code as people read it. */
export function grouped(code) {
  const half = code.length === 8 ? 4 : 3;
  return `${code.slice(0, half)} ${code.slice(half)}`;
}

/** readKeyURI reads an otpauth URI: a code-only account, or `wrong` with the sentence that says why not. */
export function readKeyURI(text) {
  let uri;
  try {
    uri = new URL(text);
  } catch {
    return { wrong: "joinUnreadable" };
  }
  const type = (uri.host || uri.pathname.replace(/^\/\//, "").split("/")[0]).toLowerCase();
  if (type !== "totp") return { wrong: "otpCounter" };
  const parameters = uri.searchParams;
  const secret = readSecret(parameters.get("secret") ?? "");
  if (!secret) return { wrong: "otpSecret" };
  const algorithm = (parameters.get("algorithm") ?? usual.algorithm).toUpperCase().replace("-", "");
  if (!(algorithm in hashes)) return { wrong: "otpAlgorithm" };
  const digits = Number(parameters.get("digits") ?? usual.digits);
  if (digits !== 6 && digits !== 8) return { wrong: "otpDigits" };
  const period = Number(parameters.get("period") ?? usual.period);
  if (!Number.isInteger(period) || period < 1 || period > 3600) return { wrong: "otpPeriod" };
  return { secret, totp: { algorithm, digits, period }, ...readLabel(uri) };
}

function readLabel(uri) {
  let label = uri.pathname.replace(/^\/\/totp/i, "").replace(/^\//, "");
  try {
    label = decodeURIComponent(label);
  } catch { /* it stays as it came */ }
  const [issuer, ...rest] = label.split(":");
  const named = rest.length > 0;
  return {
    brand: clean(uri.searchParams.get("issuer") || (named ? issuer : "")),
    user: clean(named ? rest.join(":") : issuer),
  };
}

// Names from outside are shown beside others: what would change how those read is left out.
function clean(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "").trim().slice(0, 100);
}
