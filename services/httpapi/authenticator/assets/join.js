// Joining: what a person scanned or typed, and the one call that makes this browser a device.

import * as accounts from "./accounts.js";
import * as api from "./api.js";
import { codeKey, readKeyURI, readSecret, usual } from "./codes.js";
import { makeKey, random } from "./keys.js";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const length = 16;

/** readCode is a join code as the server compares it; undefined where it is none. */
export function readCode(text) {
  const plain = text.normalize("NFKC").toUpperCase().replace(/[\s\p{Pd}\p{Cf}]/gu, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  return plain.length === length && [...plain].every((c) => alphabet.includes(c)) ? plain : undefined;
}

/** groupedCode is what was typed so far, in groups of four. */
export function groupedCode(text) {
  return text.match(/.{1,4}/g)?.join("-") ?? "";
}

const here = () => new URL(".", document.baseURI).href;
const publicPlace = () => document.querySelector("link[rel=canonical]")?.href;

/**
 * read tells what a text asks for: `code` of a join, a `totp` account, a `foreign` address where the code
 * belongs, or what is `wrong`.
 */
export function read(text) {
  const trimmed = text.trim();
  if (trimmed === "") return { wrong: "joinEmpty" };
  if (/^otpauth:/i.test(trimmed)) return readOTP(trimmed);
  if (/^https?:/i.test(trimmed)) return readLink(trimmed);
  const code = readCode(trimmed);
  return code ? { code } : { wrong: "joinUnreadable" };
}

function readOTP(text) {
  const secret = /[?&]secret=([^&#]*)/i.exec(text)?.[1] ?? "";
  const grouped = /^(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/;
  if (grouped.test(secret)) return { code: readCode(secret) };
  const account = readKeyURI(text);
  return account.wrong ? account : { totp: account };
}

function readLink(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return { wrong: "joinUnreadable" };
  }
  const code = readCode(/^#join=(.*)$/.exec(decode(url.hash))?.[1] ?? "");
  if (!code) return { wrong: "joinUnreadable" };
  const place = new URL(".", url).href;
  if (place === here() || place === publicPlace()) return { code };
  return { foreign: url.href, host: url.host };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * join makes this browser a device, and stores the account. What the server refuses is a Problem. A join whose answer was lost, or
 * could not be stored, is repeated as it was, also by the page that is loaded next: the code is used up, and nobody else has the key.
 */
export async function join(code, name, pushToken) {
  const { key, publicKey } = await makeKey();
  const body = JSON.stringify({
    code, name, platform: "webpush", public_key: publicKey, ...(pushToken ? { push_token: pushToken } : {}),
  });
  const attempt = await accounts.beginJoin({ code, key, body, pushToken, idempotency: random() });
  let joined;
  try {
    joined = await api.join(attempt.body, attempt.idempotency);
  } catch (problem) {
    const refused = problem instanceof api.Problem && problem.status < 500 && problem.status !== 429;
    if (refused) await accounts.endJoin(attempt).catch(() => {}); // the refusal is what a person hears of
    throw problem;
  }
  const secret = readSecret(joined.secret);
  const account = {
    id: joined.device_id, deviceID: joined.device_id, brand: joined.brand ?? "", user: joined.user ?? "", label: "",
    createdAt: Date.now(), key: attempt.key, codes: await codeKey(secret), totp: usual, pushToken: attempt.pushToken ?? "",
  };
  await accounts.add(account, attempt);
  return account;
}

/** addCodes stores an account that only shows codes. */
export async function addCodes({ secret, totp, brand, user }) {
  const account = {
    id: random(), brand, user, label: "", createdAt: Date.now(), codes: await codeKey(secret, totp.algorithm), totp,
  };
  await accounts.add(account);
  return account;
}

/** deviceName is what the person's list of devices calls this one. */
export function deviceName(agent = navigator.userAgent) {
  const browser = [["Edg", "Edge"], ["OPR", "Opera"], ["SamsungBrowser", "Samsung Internet"], ["Firefox", "Firefox"], ["FxiOS", "Firefox"],
    ["CriOS", "Chrome"], ["Chrome", "Chrome"], ["Safari", "Safari"]].find(([mark]) => agent.includes(`${mark}/`))?.[1];
  const system = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS X", "Mac"],
    ["CrOS", "ChromeOS"], ["Linux", "Linux"]].find(([mark]) => agent.includes(mark))?.[1];
  return [browser, system].filter(Boolean).join(", ");
}

/** plainIOSTab tells whether this is a tab on iOS, which deletes keys after a week. */
export function plainIOSTab() {
  const iOS = /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Mac OS X/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
  return iOS && navigator.standalone !== true && !matchMedia("(display-mode: standalone)").matches;
}
