// The sentences above a view: what is wrong or waits, each with a way on.

import { button, el } from "./dom.js";
import { permission } from "./push.js";
import { trouble, troubleNote } from "./views/account.js";
import { say, t } from "./words.js";

/** notices keeps them up to date without touching those that stay as they are. */
export function notices(app, node) {
  let shown = new Map();
  return () => {
    const before = shown;
    shown = new Map(present(app).map(({ key, make }) => [key, before.get(key) ?? make()]));
    for (const [key, old] of before) {
      if (shown.has(key)) continue;
      const held = old.contains(document.activeElement);
      old.remove();
      if (held) document.querySelector("#view h1")?.focus({ preventScroll: true });
    }
    let place = node.firstChild; // those that stay are not moved, or the focus in them would be lost
    for (const one of shown.values()) {
      if (one === place) place = place.nextSibling;
      else node.insertBefore(one, place);
    }
  };
}

function present(app) {
  const all = [];
  const add = (key, make) => all.push({ key, make });
  const { current } = app.requests;
  if (current?.open && app.route !== "requests") {
    add(`request ${current.id}`, () => el("p", { class: "notice", role: "alert" }, el("span", {}, say("requestWaits", { brand: current.brand || t("noBrand") })), " ",
      button(t("show"), () => app.go("requests"), { class: "small" })));
  }
  if (app.reachable === false) {
    const last = app.lastContact;
    add(`offline ${Math.floor((last ?? 0) / 60_000)}`, () => el("p", { class: "notice warn" }, el("span", {}, "⚠ ", last ? say("offline", { time: new Date(last) }) : t("offlineNever"))));
  }
  if (app.newVersion) {
    add("version", () => el("p", { class: "notice" }, el("span", {}, t("updating")), " ", button(t("update"), () => app.useUpdate(), { class: "small" })));
  }
  const quiet = app.route === "join" || (app.route === "requests" && current);
  if (quiet) return all;
  if (app.route === "requests") {
    for (const account of app.accounts.filter(trouble)) {
      add(`trouble ${account.id} ${account.unknown} ${account.removed?.cause} ${account.label}`, () => troubleNote(app, account));
    }
    if (app.accounts.some((a) => a.deviceID) && permission() === "denied") {
      add("push off", () => el("p", { class: "notice warn" }, el("span", {}, "⚠ ", t("pushOff")), " ", el("a", { href: "#settings" }, t("howToTurnOn"))));
    }
  }
  return all;
}
