// Calls to the server, each with an end. The page and the API have one origin: paths are relative,
// so that the public URL may have a path of its own.

import * as clock from "./clock.js";
import { digest, sign } from "./keys.js";

const base = new URL("../v1/", document.baseURI);
const callWithin = 10_000; // ms, beside what a call waits on purpose

/** Problem is a refusal in the server's words (RFC 9457); `code` says which. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.code ?? `status ${status}`);
    Object.assign(this, { status, code: body.code ?? "", body });
  }
}

/** Unreachable says that there was no answer, or none of Assent's. */
export class Unreachable extends Error {}

const listeners = new Set();

/** onContact hears after each call whether the server was there. */
export const onContact = (listener) => listeners.add(listener);

const tell = (reached) => { for (const listener of listeners) listener(reached); };

/** call makes one request. `wait` is how many seconds the server may hold it. */
export async function call(method, path, { headers = {}, body, wait = 0, signal } = {}) {
  const ends = AbortSignal.timeout(callWithin + wait * 1000);
  let response, text;
  try {
    response = await fetch(new URL(path, base), {
      method, body, headers: { Accept: "application/json, application/problem+json", ...headers },
      cache: "no-store", credentials: "omit", redirect: "error", signal: signal ? anyOf(signal, ends) : ends,
    });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    tell(false);
    throw new Unreachable("no answer", { cause });
  }
  return read(response, text);
}

function read(response, text) {
  clock.heard(response.headers.get("Date"));
  if (response.status === 304 || response.status === 204) {
    tell(true);
    return { status: response.status, etag: response.headers.get("ETag") };
  }
  const json = parse(text);
  const busy = response.status >= 500 || response.status === 429;
  tell(json !== undefined && !busy);
  if (json === undefined || busy) {
    const after = Number(response.headers.get("Retry-After"));
    throw Object.assign(new Unreachable(`status ${response.status}`), { retryAfter: Math.min(60, Math.max(0, after || 0)) });
  }
  if (!response.ok) throw new Problem(response.status, json);
  return { status: response.status, etag: response.headers.get("ETag"), json };
}

function parse(text) {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

// AbortSignal.any is younger than the oldest browsers that this page works in.
function anyOf(...signals) {
  if (AbortSignal.any) return AbortSignal.any(signals);
  const all = new AbortController();
  for (const one of signals) {
    if (one.aborted) all.abort(one.reason);
    one.addEventListener("abort", () => all.abort(one.reason), { once: true });
  }
  return all.signal;
}

/** signed is a call in the name of an account. A clock that was wrong is corrected by the refusal itself. */
export async function signed(account, text, method, path, options = {}) {
  const attempt = async () => {
    const at = clock.timestamp();
    const signature = await sign(account.key, text(at));
    const headers = { ...options.headers, Authorization: `Phone at="${at}", signature="${signature}"` };
    return call(method, path, { ...options, headers });
  };
  const before = clock.now() - Date.now();
  try {
    return await attempt();
  } catch (problem) {
    const corrected = Math.abs(clock.now() - Date.now() - before) > 1000;
    if (problem instanceof Problem && problem.code === "bad_signature" && corrected) return attempt();
    throw problem;
  }
}

const looked = (account) => (at) => `assent-prompts-v1\n${account.deviceID}\n${at}`;
const own = (account) => `phones/${encodeURIComponent(account.deviceID)}`;

/** prompts lists what waits for an answer, the newest first. */
export async function prompts(account, wait, signal) {
  const { json } = await signed(account, looked(account), "GET", `${own(account)}/prompts?wait=${wait}`, { wait, signal });
  return json.data;
}

/** promptState is how one question stands; undefined where it stands as the tag says. */
export async function promptState(account, id, etag, wait, signal) {
  const headers = etag ? { "If-None-Match": etag } : {};
  const path = `${own(account)}/prompts/${encodeURIComponent(id)}?wait=${wait}`;
  const answer = await signed(account, looked(account), "GET", path, { headers, wait, signal });
  return answer.status === 304 ? undefined : { ...answer.json, etag: answer.etag };
}

/** settings is what a page that is a phone needs to know. */
export async function settings() {
  return (await call("GET", "authenticator")).json;
}

/** join repeats once what was lost: the code would be used up, and nobody have the secret. */
export async function join(body, key) {
  const send = () => call("POST", "phones", {
    body, headers: { "Content-Type": "application/json", "Idempotency-Key": key },
  });
  try {
    return (await send()).json;
  } catch (problem) {
    if (problem instanceof Unreachable) return (await send()).json;
    throw problem;
  }
}

/** trial asks for one request to this account that means nothing. */
export async function trial(account, locale) {
  const body = JSON.stringify({ locale });
  const sum = await digest(body);
  const text = (at) => `assent-trial-v1\n${account.deviceID}\n${at}\n${sum}`;
  await signed(account, text, "POST", `${own(account)}/trial`, { body, headers: { "Content-Type": "application/json" } });
}

/** answer sends what was signed. */
export async function answer(id, body) {
  return call("POST", `verifications/${encodeURIComponent(id)}/responses`, {
    body, headers: { "Content-Type": "application/json" },
  });
}
