// The service worker: keeps the page for when there is no connection, and shows what was pushed. It
// never answers a question. "{{version}}" changes with every file of the page, so that a change is an update.

const version = "{{version}}";
const prefix = "authenticator-";
const files = "{{files}}".split(" ");

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(prefix + version);
    await cache.addAll(["./", "manifest.webmanifest", ...files]);
    // While two versions answer at one address, the page may be of the other one. Then all of it is fetched again later.
    const page = await (await cache.match("./")).text();
    if (!page.includes(files[0].split("/").slice(0, 2).join("/"))) {
      await caches.delete(prefix + version);
      throw new Error("the page is of another version");
    }
    if (!self.registration.active) await self.skipWaiting();
  })());
});

// One older version stays: a page of it may be open, and fetch a language or the camera's reader yet.
self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
    const older = names.filter((name) => name !== prefix + version);
    await Promise.all(older.slice(0, -1).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const scope = new URL(self.registration.scope);
  if (event.request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  if (event.request.mode === "navigate") {
    if (url.pathname !== scope.pathname) return; // no page of ours
    event.respondWith(own(new Request(scope.href)).then((page) => page ?? fetch(event.request)));
  } else {
    event.respondWith(caches.match(event.request).then((found) => found ?? fetch(event.request)));
  }
});

async function own(name) {
  return (await caches.open(prefix + version)).match(name);
}

self.addEventListener("push", (event) => {
  let data = {};
  try {
    data = event.data.json();
  } catch { /* shown all the same: a push that shows nothing costs the permission */ }
  event.waitUntil(show(data));
});

async function show(data) {
  const title = text(data.title) || text(data.brand) || "Authenticator";
  const icon = new URL("icon-192.png", self.registration.scope).href;
  if (self.Notification?.permission === "granted") {
    await self.registration.showNotification(title, {
      body: text(data.body), tag: text(data.verification_id) || text(data.message_id) || undefined,
      renotify: Boolean(data.verification_id || data.message_id), requireInteraction: Boolean(data.respond_to),
      icon, badge: icon, data: { verification: text(data.verification_id) }, timestamp: Date.now(),
    });
  }
  for (const client of await pages()) client.postMessage({ type: "pushed", verification: text(data.verification_id) });
}

const text = (value) => (typeof value === "string" ? value : "");

// Other pages of the origin are none of ours.
async function pages() {
  const all = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return all.filter((client) => client.url.startsWith(self.registration.scope));
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const verification = event.notification.data?.verification ?? "";
  event.waitUntil((async () => {
    const open = await pages();
    const page = open.find((client) => client.focused) ?? open.find((client) => client.visibilityState === "visible") ?? open[0];
    if (page) {
      page.postMessage({ type: "open", verification });
      await page.focus().catch(() => {}); // the page shows it all the same
    } else {
      await self.clients.openWindow(`${self.registration.scope}#requests${verification && `=${verification}`}`);
    }
  })());
});

// The push service has ended the subscription. A page that is open tells the server of the new one; where
// there is none the worker does, or nothing would arrive until somebody looks.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil((async () => {
    const key = event.oldSubscription?.options.applicationServerKey;
    const subscription = event.newSubscription
      ?? (key && await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
    const open = await pages();
    for (const client of open) client.postMessage({ type: "subscription" });
    if (open.length === 0 && subscription) await tell(subscription.toJSON());
  })());
});

/** tell makes the server know what reaches the accounts of this browser now, signed with their keys. */
async function tell({ endpoint, keys: { p256dh, auth } }) {
  const db = await asked(indexedDB.open("assent-authenticator", 1));
  const read = (store, query) => asked(db.transaction(store).objectStore(store)[query]());
  const [accounts, ids, keys] = await Promise.all([read("accounts", "getAll"), read("keys", "getAllKeys"), read("keys", "getAll")]);
  const offset = (await asked(db.transaction("settings").objectStore("settings").get("clockOffset"))) ?? 0;
  db.close();
  const body = JSON.stringify({ push_token: JSON.stringify({ endpoint, keys: { p256dh, auth } }) });
  const at = new Date(Date.now() + offset).toISOString();
  const sum = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(body)))].map((b) => b.toString(16).padStart(2, "0")).join("");
  await Promise.allSettled(accounts.filter((a) => a.deviceID && !a.removed).map(async ({ id, deviceID }) => {
    const text = bytes(`assent-phone-v1\n${deviceID}\n${at}\n${sum}`);
    const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys[ids.indexOf(id)].sign, text);
    const signature = btoa(String.fromCharCode(...new Uint8Array(raw))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return fetch(new URL(`../v1/phones/${encodeURIComponent(deviceID)}`, self.registration.scope), {
      method: "PUT", body, credentials: "omit", signal: AbortSignal.timeout(10_000),
      headers: { "Content-Type": "application/json", Authorization: `Phone at="${at}", signature="${signature}"` },
    });
  }));
}

const bytes = (text) => new TextEncoder().encode(text);

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onupgradeneeded = () => request.transaction.abort(); // nothing is kept, and nothing is made here
    request.onerror = request.onblocked = () => reject(request.error);
  });
}

self.addEventListener("message", (event) => {
  if (event.data?.type === "take over") self.skipWaiting();
  if (event.data?.type === "push") event.waitUntil(show(event.data.data ?? {}));
});
