// The service worker and its updates. A new version takes over while nobody is in the middle of
// something; until then the page that is open stays as it is.

const checkEvery = 10 * 60_000; // ms

// Only this one script may become a worker.
const policy = globalThis.trustedTypes?.createPolicy("authenticator", {
  createScriptURL(url) {
    if (url !== "sw.js") throw new TypeError("not the service worker");
    return url;
  },
});

/** watch registers the worker. `idle()` says whether the page may be loaded anew, `ready()` is called when a new version waits. */
export async function watch({ idle, ready, message }) {
  if (!("serviceWorker" in navigator)) return { settle() {}, now() {} };
  const { serviceWorker } = navigator;
  let waiting, stale = false, reloading = false;
  let first = !serviceWorker.controller;
  const reload = () => {
    if (reloading) return;
    reloading = true;
    location.reload();
  };
  const settle = () => {
    if (!idle()) return;
    if (stale) reload();
    else waiting?.postMessage({ type: "take over" });
  };
  serviceWorker.addEventListener("message", (event) => message(event.data ?? {}));
  serviceWorker.addEventListener("controllerchange", () => {
    if (first) {
      first = false; // the first worker serves the page that brought it
      return;
    }
    stale = true;
    settle();
  });
  let registration;
  try {
    registration = await serviceWorker.register(policy ? policy.createScriptURL("sw.js") : "sw.js", { updateViaCache: "none" });
  } catch {
    return { settle() {}, now() {} }; // the page works, only not offline; private windows have no workers
  }
  const found = (worker) => {
    if (!worker || !serviceWorker.controller) return;
    waiting = worker;
    ready();
    settle();
  };
  found(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => { if (worker.state === "installed") found(worker); });
  });
  let checked = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - checked < checkEvery) return settle();
    checked = Date.now();
    registration.update().catch(() => {});
  });
  return {
    settle,
    /** now takes over at a press. */
    now() {
      if (stale) reload();
      else waiting?.postMessage({ type: "take over" });
    },
  };
}
