// What this browser keeps: accounts, their keys, settings, and what was answered here. The keys lie
// apart from the records, as keys and never as bytes.

import { usable } from "./keys.js";

const name = "assent-authenticator";
const marker = "assent-authenticator"; // in localStorage and as a cache: what tells that something was here
const longest = 100; // answers kept

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("accounts", { keyPath: "id" });
      request.result.createObjectStore("keys");
      request.result.createObjectStore("settings");
      request.result.createObjectStore("history", { keyPath: "id" });
    };
    request.onsuccess = () => {
      const db = request.result;
      db.onversionchange = db.onclose = () => { db.close(); opened = undefined; };
      resolve(db);
    };
    request.onerror = () => { opened = undefined; reject(request.error); };
  });
  return opened;
}

/** transact runs work in one transaction and gives what its request, or each of several, found, once all is durable. */
async function transact(stores, mode, work) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const t = db.transaction(stores, mode, { durability: mode === "readwrite" ? "strict" : "default" }); // a key that is lost is gone
    let request;
    try {
      request = work(...[stores].flat().map((store) => t.objectStore(store)));
    } catch (fault) {
      t.abort(); // all of it or nothing
      throw fault;
    }
    t.oncomplete = () => resolve(Array.isArray(request) ? request.map(({ result }) => result) : request?.result);
    t.onabort = t.onerror = () => reject(t.error);
  });
}

const others = new BroadcastChannel(name); // the windows of this browser that are open beside this one

/** onChange hears that another window has changed an account, or what a person has chosen. */
export function onChange(listener) {
  others.onmessage = listener;
}

const tell = () => others.postMessage("changed");

/** all reads the accounts with their keys, the oldest first, and the settings. An account without its key is `keyless`. */
export async function all() {
  const [accounts, ids, found, names, values] = await transact(["accounts", "keys", "settings"], "readonly",
    (accounts, keys, settings) => [accounts.getAll(), keys.getAllKeys(), keys.getAll(), settings.getAllKeys(), settings.getAll()]);
  for (const account of accounts) {
    const keys = found[ids.indexOf(account.id)];
    account.key = keys?.sign;
    account.codes = keys?.codes instanceof CryptoKey ? keys.codes : undefined;
    account.keyless = account.deviceID ? !usable(account.key) : !account.codes;
  }
  accounts.sort((a, b) => a.createdAt - b.createdAt);
  return { accounts, settings: Object.fromEntries(names.map((name, i) => [name, values[i]])) };
}

// What of an account is stored, beside its keys.
const kept = ["id", "deviceID", "brand", "user", "label", "createdAt", "totp", "pushToken", "removed", "copied"];

const record = (account) => Object.fromEntries(kept.filter((k) => account[k] !== undefined).map((k) => [k, account[k]]));

/** add stores an account and its keys, both or neither, and ends the attempt that it came from. */
export async function add(account, attempt) {
  await transact(["accounts", "keys"], "readwrite", (accounts, keys) => {
    keys.put({ sign: account.key, codes: account.codes }, account.id);
    if (attempt) end(keys, attempt);
    return accounts.put(record(account));
  });
  tell();
  await mark();
}

const joining = "joining"; // where the attempt to join lies, among the keys

/** beginJoin keeps what a join is made with, before the server hears of it. One that is kept for the same code goes on instead. */
export async function beginJoin(fresh) {
  const kept = await transact("keys", "readwrite", (keys) => {
    const request = keys.get(joining);
    request.onsuccess = () => { if (request.result?.code !== fresh.code) keys.put(fresh, joining); };
    return request;
  });
  return kept?.code === fresh.code ? kept : fresh;
}

/** endJoin forgets an attempt that the server has refused. */
export async function endJoin(attempt) {
  await transact("keys", "readwrite", (keys) => end(keys, attempt));
}

// Another window may have begun another attempt meanwhile.
function end(keys, { idempotency }) {
  const request = keys.get(joining);
  request.onsuccess = () => { if (request.result?.idempotency === idempotency) keys.delete(joining); };
}

/** same tells whether two are one account from one joining: a device that is joined anew has another key. */
export const same = (one, other) => one.id === other?.id && one.createdAt === other.createdAt;

/**
 * save makes a change to an account, and nothing else of what is stored: another window may have changed that. It tells
 * whether the account is there still; one that was removed or joined anew meanwhile stays as it is.
 */
export async function save(account, change) {
  try {
    const found = await transact("accounts", "readwrite", (store) => {
      const request = store.get(account.id);
      request.onsuccess = () => { if (same(account, request.result)) store.put({ ...request.result, ...change }); };
      return request;
    });
    tell();
    return same(account, found);
  } finally {
    Object.assign(account, change); // the page goes by it also where it cannot be stored
  }
}

/** remove forgets an account. With the last one goes the unlock: whoever has lost what opens it could neither use nor end it. */
export async function remove(id) {
  const left = await transact(["accounts", "keys", "settings"], "readwrite", (accounts, keys, settings) => {
    keys.delete(id);
    settings.delete(`count ${id}`);
    accounts.delete(id);
    const request = accounts.count();
    request.onsuccess = () => { if (request.result === 0) settings.delete("unlock"); };
    return request;
  });
  tell();
  if (left === 0) await unmark();
}

export async function setting(key) {
  return transact("settings", "readonly", (store) => store.get(key));
}

export async function set(key, value) {
  await transact("settings", "readwrite", (store) => store.put(value, key));
}

/** choose keeps what a person has chosen, for every window. */
export async function choose(key, value) {
  await set(key, value);
  tell();
}

/** history lists what was answered here, the newest first. */
export async function history() {
  const entries = await transact("history", "readonly", (store) => store.getAll());
  return entries.sort((a, b) => b.at - a.at);
}

/** note keeps an answer, and forgets the oldest beyond a hundred. */
export async function note(entry) {
  await transact("history", "readwrite", (store) => store.put(entry));
  const beyond = (await history()).slice(longest);
  if (beyond.length > 0) {
    await transact("history", "readwrite", (store) => beyond.map((e) => store.delete(e.id)).at(-1));
  }
}

export async function forgetHistory() {
  await transact("history", "readwrite", (store) => store.clear());
}

// The markers lie in other places than the accounts: where one is left and no account, the browser has
// cleared what it should have kept. A person who removes the last account removes them too.
async function mark() {
  try {
    localStorage.setItem(marker, "joined");
    await (await caches.open(marker)).put("joined", new Response("joined"));
  } catch { /* without them only the sentence about cleared data is missing */ }
}

async function unmark() {
  try {
    localStorage.removeItem(marker);
    await caches.delete(marker);
  } catch { /* as above */ }
}

/** marked tells whether accounts were here, as far as can be told at once. */
export function marked() {
  try {
    return localStorage.getItem(marker) !== null;
  } catch {
    return true;
  }
}

/** wasCleared tells whether accounts were here that the browser has deleted. It mends markers that are missing. */
export async function wasCleared(accounts) {
  let marked = false;
  try {
    marked = localStorage.getItem(marker) !== null || await caches.has(marker);
  } catch { /* as above */ }
  if (accounts.length > 0) await mark();
  return marked && accounts.length === 0;
}
