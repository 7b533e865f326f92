// The start, the routes, and the one place where what is known meets what is seen.

import * as accounts from "./accounts.js";
import { answer, note } from "./answers.js";
import * as api from "./api.js";
import * as clock from "./clock.js";
import { announce, editing, el, fill, toTop } from "./dom.js";
import { fullName } from "./names.js";
import { notices } from "./notices.js";
import { Watcher } from "./prompts.js";
import * as push from "./push.js";
import { Requests } from "./requests.js";
import { watch } from "./update.js";
import { Upkeep } from "./upkeep.js";
import { codes } from "./views/codes.js";
import { history as historyView } from "./views/history.js";
import { join } from "./views/join.js";
import { nav } from "./views/nav.js";
import { requests as requestsView } from "./views/requests.js";
import { settings as settingsView } from "./views/settings.js";
import { takeOver } from "./windows.js";
import { t, use } from "./words.js";

const views = { requests: requestsView, codes, history: historyView, settings: settingsView, join };
const contactKept = 60_000; // ms between two notes of the last contact

/** active are the accounts that questions can come to. */
function active() {
  return app.accounts.filter((a) => a.deviceID && !a.keyless && !a.copied && !a.removed && !a.unknown);
}

const app = {
  accounts: [], settings: {}, reachable: undefined, lastContact: undefined, webPush: undefined, cleared: false, newVersion: false,
  route: "", answered: 0,
  joinCode: "", // what stands in the field of the join page

  go(route) {
    if (location.hash === `#${route}`) follow();
    else location.hash = route;
  },

  /** try has the server ask once, so that a person sees a request arrive before one matters. */
  async try(account) {
    await api.trial(account, document.documentElement.lang);
    app.go("requests");
  },

  async check() {
    watcher.stop();
    for (const account of app.accounts) account.unknown = false;
    await Promise.all(active().map(async (account) => {
      if (app.requests.openOf(account)) return;
      try {
        app.requests.listed(account, await api.prompts(account, 0));
      } catch (problem) {
        if (problem instanceof api.Problem) refused(account, problem);
      }
    }));
    look();
    changed();
  },

  async answer(request, decision) {
    await answer(request, decision, { settings: app.settings, changed });
    if (app.requests.waiting.length > 0) look(); // the watcher may be at another one
  },

  async joined(account) {
    await takeOver(app);
    app.cleared = false;
    app.joinCode = "";
    history.replaceState(null, "", "#requests"); // a reload does not look as if joining had failed
    navigator.storage?.persist?.().catch(() => {});
    drawNav();
    look();
    upkeep.count();
    syncPush();
    return app.accounts.find((a) => a.id === account.id);
  },

  async rename(account, label) {
    await accounts.save(account, { label });
    changed();
  },

  async remove(account) {
    if (account.deviceID && account.pushToken && !account.removed) push.tell(account, "").catch(() => {});
    await accounts.remove(account.id);
    await takeOver(app);
    announce(t("removed", { name: fullName(account) }));
    look();
    drawNav();
    if (app.accounts.length === 0) app.go("join");
    else refresh();
  },

  async set(key, value) {
    await accounts.choose(key, value);
    app.settings[key] = value;
    changed();
  },

  async speak(language) {
    await app.set("language", language);
    await use(language);
    refresh();
  },

  /** pushToken is what a new account is reached by; nothing where there is none yet. */
  async pushToken() {
    await upkeep.learn();
    return (await push.token(app.webPush)) || "";
  },

  /** pushReaches tells whether questions arrive while the page is closed. */
  pushReaches() {
    return push.permission() === "granted" && active().length > 0 && active().every((a) => a.pushToken);
  },

  async turnOnPush() {
    await push.ask();
    await syncPush();
    changed();
  },

  active,
  useUpdate: () => updates?.now(),
};

app.requests = new Requests(changed, closed);

const watcher = new Watcher({
  accounts: active,
  watched: (account) => app.requests.watched(account),
  listed: (account, found) => app.requests.listed(account, found),
  stands: (account, id, state) => app.requests.stands(account, id, state),
  refused,
});

const upkeep = new Upkeep(app, refused);

let updates, view, tellNotices, drawn = false, noted = 0;

function look() {
  if (!document.hidden && active().length > 0) watcher.start();
  else watcher.stop();
}

async function refused(account, { code, body }) {
  const change = {};
  if (code === "device_removed") change.removed = { at: body.removed_at ?? new Date(clock.now()).toISOString(), cause: body.cause ?? "removed" };
  else if (code === "device_copied") change.copied = true;
  else if (code === "bad_signature") account.unknown = true;
  else return;
  if (!await accounts.save(account, change)) return reread(); // another window joined anew: the key from before was refused
  app.requests.drop(account);
  look(); // without it
  if (["requests", "settings"].includes(app.route) && !editing()) refresh();
}

const idle = () => (document.hidden ? !app.requests.current?.open : !app.requests.current) && app.route !== "join" && !editing()
  && (document.hidden || !["codes", "settings"].includes(app.route));

function changed() {
  if (drawn) return;
  drawn = true;
  queueMicrotask(() => {
    drawn = false;
    draw();
  });
}

let showing; // the open question that the page went to by itself

function draw() {
  const { current } = app.requests;
  if (current?.open && current !== showing) {
    showing = current;
    if (app.route !== "requests" && app.route !== "join" && !editing()) return app.go("requests");
  }
  view?.update();
  tellNotices?.();
  updates?.settle();
}

async function closed(request) {
  push.clear(request.id).catch(() => {});
  await note(request);
  app.answered++;
  changed();
}

function follow() {
  const [name, value] = location.hash.slice(1).split("=");
  if (name === "join" && value) {
    try {
      app.joinCode = decodeURIComponent(value);
    } catch {
      app.joinCode = value;
    }
    history.replaceState(null, "", "#join"); // a code is not kept where others look
  }
  if (name === "requests" && value) app.requests.want(value);
  const route = app.accounts.length === 0 ? "join" : Object.hasOwn(views, name) ? name : "requests";
  if (route !== "join") app.joinCode = "";
  app.route = route;
  refresh();
  toTop();
}

function refresh() {
  if (app.useless) return;
  view?.leave?.();
  document.title = t("app");
  document.getElementById("app").textContent = t("app");
  view = views[app.route](app);
  fill(document.getElementById("view"), view.node);
  document.body.dataset.route = app.route;
  drawNav();
  draw();
  document.querySelector("#view h1")?.focus({ preventScroll: true });
}

const drawNav = () => nav(app, document.getElementById("nav"));

function syncPush() {
  return upkeep.tell().then(changed);
}

function hear(reached) {
  const before = app.reachable;
  app.reachable = reached;
  if (reached) {
    app.lastContact = clock.now();
    if (Date.now() - noted > contactKept) {
      noted = Date.now();
      accounts.set("lastContact", app.lastContact).catch(() => {});
    }
    if (before === false) {
      upkeep.count();
      syncPush();
    }
  }
  if (before !== reached) changed();
}

function message({ type, verification }) {
  if (type === "subscription") syncPush();
  if (type === "pushed" && app.requests.ended(verification)) push.clear(verification).catch(() => {}); // it came late
  if (type === "pushed" && !document.hidden) look();
  if (type === "open") {
    app.requests.want(verification);
    app.go("requests");
    look();
  }
}

function seen() {
  look();
  if (document.hidden) return;
  reread(); // a window that slept may not have heard
  upkeep.count();
  syncPush();
  changed();
}

async function restore() {
  await takeOver(app);
  app.lastContact = app.settings.lastContact;
  clock.restore(app.settings.clockOffset);
}

/** reread takes over what another window of this browser has changed. */
async function reread() {
  const { language } = app.settings;
  if (!await takeOver(app).catch(() => false)) return;
  if (app.settings.language !== language) await use(app.settings.language);
  look();
  drawNav();
  if (app.route === "join") return;
  if (app.accounts.length === 0) follow();
  else if (app.route === "codes" || !editing()) refresh();
}

/** missed says what is gone, once the page is there: the browser takes long to look for it. */
async function missed() {
  app.cleared = await accounts.wasCleared(app.accounts);
  if (app.cleared && app.route === "join" && !editing()) refresh();
}

function giveUp(reason) {
  app.useless = true;
  fill(document.getElementById("view"), el("h1", {}, t("app")), el("p", { class: "warn" }, "⚠ ", t(reason)));
}

async function start() {
  const spoken = use(); // the browser's language, while what is kept is read
  if (!isSecureContext || !crypto.subtle) return spoken.then(() => giveUp("insecure"));
  const kept = restore().then(() => true, () => false);
  await spoken;
  const waits = accounts.marked();
  if (!waits) begin(); // who was never here need not wait for what is kept
  if (!await kept) return giveUp("joinStorage");
  if (app.settings.language) await use(app.settings.language);
  if (waits) begin();
  else if (!editing() && (app.settings.language || app.accounts.length > 0)) follow();
  look();
  upkeep.count();
  await missed();
  updates = await watch({ idle, message, ready: () => { app.newVersion = true; changed(); } });
  await syncPush();
  if (!navigator.serviceWorker?.controller) navigator.serviceWorker?.ready.then(syncPush); // a first worker may take long to install
}

function begin() {
  tellNotices = notices(app, document.getElementById("notices"));
  accounts.onChange(reread);
  api.onContact(hear);
  clock.onChange((offset) => {
    accounts.set("clockOffset", offset).catch(() => {});
    changed();
  });
  addEventListener("hashchange", follow);
  addEventListener("languagechange", async () => {
    await use(app.settings.language);
    if (!editing()) refresh();
  });
  addEventListener("online", seen);
  addEventListener("offline", () => hear(false));
  document.addEventListener("visibilitychange", seen);
  setInterval(tick, 1000);
  follow();
  performance.mark("interactive");
}

let overdue; // the question whose end the server was asked about

function tick() {
  app.requests.expire(app.reachable !== false);
  const { current } = app.requests;
  if (current?.open && current !== overdue && clock.now() > current.expiresAt.getTime() + 300) {
    overdue = current;
    look();
  }
}

start();
