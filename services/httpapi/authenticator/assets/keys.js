// The key of an account: made here, kept by the browser, and never readable by anybody.

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const encoder = new TextEncoder();

/** makeKey draws a key that signs and cannot be exported, and its public half as the server takes it. */
export async function makeKey() {
  const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  return { key: pair.privateKey, publicKey: btoa(String.fromCharCode(...spki)) };
}

/** sign gives r‖s over the SHA-256 of a text, in base64url. */
export async function sign(key, text) {
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, encoder.encode(text));
  return base64url(new Uint8Array(signature));
}

export async function digest(text) {
  const sum = await crypto.subtle.digest("SHA-256", encoder.encode(text));
  return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** usable tells whether what a record holds is a key that signs. */
export function usable(key) {
  return key instanceof CryptoKey && key.type === "private" && key.usages.includes("sign");
}

export function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

/** random is a text that nobody guesses. */
export function random(bytes = 16) {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}
