// Web Push: how questions arrive while the page is closed. A browser has one subscription for all
// accounts; each of them tells it to the server.

import * as accounts from "./accounts.js";
import * as api from "./api.js";
import { alone } from "./counter.js";
import { digest, base64url, fromBase64url } from "./keys.js";

const installs = 5000; // ms that a first worker is waited for

/** permission is granted, denied, default, or unsupported. */
export function permission() {
  const supported = "Notification" in window && "serviceWorker" in navigator && "PushManager" in window;
  return supported ? Notification.permission : "unsupported";
}

/** ask asks for the permission. Browsers take it only from a press. */
export async function ask() {
  return permission() === "default" ? Notification.requestPermission() : permission();
}

/**
 * token is this browser's subscription as the server takes it; "" where there is none, and undefined where that cannot be
 * told now. It subscribes anew where the server's key has changed or the browser has dropped it.
 */
export async function token(webPush) {
  if (webPush === null || permission() !== "granted") return "";
  if (webPush === undefined) return undefined;
  if (webPush.service === "sandbox") return (await import("./sandboxpush.js")).token();
  try {
    const registration = await registered();
    let subscription = await registration.pushManager.getSubscription();
    const used = subscription?.options.applicationServerKey;
    if (used && base64url(new Uint8Array(used)) !== webPush.public_key.replace(/=+$/, "")) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await registration.pushManager.subscribe({
      userVisibleOnly: true, applicationServerKey: fromBase64url(webPush.public_key),
    });
    const { endpoint, keys } = subscription.toJSON();
    return JSON.stringify({ endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } });
  } catch {
    return undefined; // the push service is away, or the browser has none: it is tried again later
  }
}

// What has an active worker. Where none could be installed there is never one, and nothing says so.
async function registered() {
  const registration = await navigator.serviceWorker.getRegistration();
  if (registration?.active) return registration;
  const late = new Promise((_, reject) => { setTimeout(() => reject(new Error("no worker")), installs); });
  return Promise.race([navigator.serviceWorker.ready, late]);
}

/** tell makes the server know what reaches an account; where it cannot be told it is at the next start. */
export async function tell(account, pushToken) {
  if (pushToken === undefined || pushToken === account.pushToken) return;
  await alone(`push ${account.id}`, () => tellOnce(account, pushToken));
}

// Pages that are open side by side learn of a new subscription at once, and the server refuses whoever comes second.
async function tellOnce(account, pushToken) {
  const { accounts: all } = await accounts.all();
  if (all.find(({ id }) => id === account.id)?.pushToken === pushToken) {
    account.pushToken = pushToken;
    return;
  }
  const body = JSON.stringify({ push_token: pushToken });
  const sum = await digest(body);
  const text = (at) => `assent-phone-v1\n${account.deviceID}\n${at}\n${sum}`;
  await api.signed(account, text, "PUT", `phones/${encodeURIComponent(account.deviceID)}`, {
    body, headers: { "Content-Type": "application/json" },
  });
  await accounts.save(account, { pushToken });
}

/** clear takes the notification of a question away once it has ended. */
export async function clear(id) {
  if (permission() !== "granted") return;
  const registration = await navigator.serviceWorker.getRegistration();
  for (const n of await registration?.getNotifications({ tag: id }) ?? []) n.close();
}
