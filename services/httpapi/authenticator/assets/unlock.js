// The unlock before an approval, where a person has chosen it: their own screen lock, through the
// platform's authenticator. It guards this page against whoever holds the unlocked phone; the server is told nothing.

import { base64url, fromBase64url } from "./keys.js";

const within = 60_000; // ms
const verified = 0x04; // the flag of authenticator data that says who it was (WebAuthn, section 6.1)

/** possible tells whether this device has a lock that pages may ask for. */
export async function possible() {
  try {
    return await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
  } catch {
    return false;
  }
}

const challenge = () => crypto.getRandomValues(new Uint8Array(32));

/** choose asks for the lock once, and gives what unlock needs; undefined where the person or the device refused. */
export async function choose(name) {
  try {
    const credential = await navigator.credentials.create({
      publicKey: {
        rp: { name }, user: { id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name },
        challenge: challenge(), pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
        authenticatorSelection: { authenticatorAttachment: "platform", userVerification: "required", residentKey: "discouraged" },
        attestation: "none", timeout: within,
      },
    });
    return credential ? { id: base64url(new Uint8Array(credential.rawId)) } : undefined;
  } catch {
    return undefined;
  }
}

/** unlock tells whether the person has opened the lock. */
export async function unlock({ id }) {
  try {
    const assertion = await navigator.credentials.get({
      publicKey: {
        challenge: challenge(), userVerification: "required", timeout: within,
        allowCredentials: [{ type: "public-key", id: fromBase64url(id), transports: ["internal"] }],
      },
    });
    const flags = new Uint8Array(assertion.response.authenticatorData)[32];
    return (flags & verified) !== 0;
  } catch {
    return false;
  }
}
