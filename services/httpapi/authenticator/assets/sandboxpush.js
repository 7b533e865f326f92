// Where the sandbox is the only push service, a browser's own subscription reaches nobody. The
// subscription then comes from the sandbox, and what was pushed is fetched from there and handed to the
// service worker, which shows it as it shows every push.

import * as accounts from "./accounts.js";

const sandbox = new URL("../sandbox/", document.baseURI);
const wait = 25; // seconds
const within = 10_000; // ms
const longestPause = 30_000;

let running;

/** token is a subscription from the sandbox, kept for the next start; undefined where it is away. */
export async function token() {
  let kept = await accounts.setting("sandboxPush");
  if (!kept) {
    try {
      const response = await fetch(new URL("phones", sandbox), {
        method: "POST", body: JSON.stringify({ platform: "webpush", name: "Web authenticator" }),
        headers: { "Content-Type": "application/json" }, signal: AbortSignal.timeout(within),
      });
      if (!response.ok) return undefined;
      kept = (await response.json()).push_token;
    } catch {
      return undefined;
    }
    await accounts.set("sandboxPush", kept);
  }
  return kept;
}

/** listen fetches what was pushed, from now on, until the page is closed. A second call changes nothing. */
export function listen(pushToken) {
  running ??= loop(pushToken);
}

async function loop(pushToken) {
  let after = await newest(pushToken), failures = 0;
  for (;;) {
    try {
      const messages = await fetchMessages(pushToken, wait, after);
      failures = 0;
      if (messages.length > 0) after = messages[0].id;
      for (const message of messages.reverse()) await hand(message.data);
    } catch {
      after = undefined; // an inbox that was cleared does not know the last one
      await new Promise((resolve) => { setTimeout(resolve, Math.min(longestPause, 1000 * 2 ** failures++)); });
      after = await newest(pushToken);
    }
  }
}

async function newest(pushToken) {
  try {
    return (await fetchMessages(pushToken, 0))[0]?.id;
  } catch {
    return undefined;
  }
}

async function fetchMessages(pushToken, seconds, after) {
  const url = new URL("messages", sandbox);
  url.search = new URLSearchParams({ to: pushToken, wait: seconds, ...(after ? { after } : {}) });
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(within + seconds * 1000) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return (await response.json()).messages;
}

async function hand(data) {
  const registration = await navigator.serviceWorker.ready;
  registration.active.postMessage({ type: "push", data });
}
