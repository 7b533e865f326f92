// Counting. A browser keeps a key in its profile, and whoever copies the profile has it too; so every page counts, and of two
// browsers with one key the one that is behind is told so by the server.

import * as accounts from "./accounts.js";
import * as api from "./api.js";
import { digest, random } from "./keys.js";

const every = 10 * 60_000; // ms between two counts of a page that stays open

const counted = new Map(); // when this page counted last, by account

/** count shows the server that this browser alone has the key, as far as can be told; a Problem says that it has not. */
export async function count(account) {
  if (Date.now() - (counted.get(account.id) ?? -Infinity) < every) return;
  counted.set(account.id, Date.now());
  try {
    await alone(`count ${account.id}`, () => next(account));
  } catch (problem) {
    if (problem instanceof api.Unreachable) counted.delete(account.id); // it is tried again as soon as the server is back
    throw problem;
  }
}

/** alone lets one tab at a time work: two that count on from the same number would look like two browsers. */
export function alone(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

// What is sent is kept before, so that it is the same again where the answer was lost.
async function next(account) {
  const key = `count ${account.id}`;
  let at = await accounts.setting(key);
  if (!at?.sent) {
    at = { number: (at?.number ?? 0) + 1, nonce: random(), sent: true };
    await accounts.set(key, at);
  }
  const body = JSON.stringify({ counter: at.number, nonce: at.nonce });
  const sum = await digest(body);
  const text = (time) => `assent-counter-v1\n${account.deviceID}\n${time}\n${sum}`;
  await api.signed(account, text, "PUT", `phones/${encodeURIComponent(account.deviceID)}/counter`, {
    body, headers: { "Content-Type": "application/json" },
  });
  await accounts.set(key, { number: at.number, nonce: at.nonce, sent: false });
}
