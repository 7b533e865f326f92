// Accounts, notifications, the unlock, what the codes show, and the language.

import * as unlocking from "../unlock.js";
import { announce, button, el, fill } from "../dom.js";
import { permission } from "../push.js";
import { t } from "../words.js";
import { account as accountItem } from "./account.js";
import { language } from "./language.js";

export function settings(app) {
  const notifications = el("div", {});
  const unlock = el("div", {});
  const storage = el("p", { class: "small" });
  const node = el("section", { class: "view settings" },
    el("h1", { tabindex: "-1" }, t("settingsTitle")),
    el("h2", {}, t("accounts")),
    app.accounts.length === 0 ? el("p", {}, t("noAccounts")) : el("ul", { class: "accounts" }, app.accounts.map((a) => accountItem(app, a))),
    el("a", { class: "button", href: "#join" }, t("addAccount")),
    el("h2", {}, t("notifications")), notifications,
    el("h2", {}, t("codes")), toggle("hide-codes", "hideCodes", "hideCodesText", Boolean(app.settings.hideCodes), (on) => app.set("hideCodes", on)),
    el("h2", {}, t("unlockTitle")), unlock,
    el("h2", {}, el("label", { for: "language" }, t("language"))), language(app),
    el("h2", {}, t("storage")), storage);
  unlockPart(app, unlock);
  navigator.storage?.persisted?.().then((kept) => { storage.textContent = t(kept ? "storageKept" : "storageMayGo"); });
  let said;
  return {
    node,
    update() {
      const now = `${permission()} ${app.webPush && app.webPush.service} ${app.pushReaches()}`;
      if (said === now) return;
      said = now;
      fill(notifications, notificationPart(app));
    },
  };
}

function notificationPart(app) {
  if (app.webPush === null) return el("p", {}, t("pushNone"));
  switch (permission()) {
    case "granted":
      return el("p", {}, app.pushReaches() || !app.accounts.some((a) => a.deviceID) ? t("notificationsAre") : t("pushService"));
    case "denied":
      return [el("p", {}, t("pushOff")), el("details", {}, el("summary", {}, t("howToTurnOn")), el("p", {}, t("turnOnText")))];
    case "unsupported":
      return el("p", {}, t("pushUnsupported"));
    default:
      return [el("p", {}, t("pushOff")), button(t("turnOn"), () => app.turnOnPush())];
  }
}

/** toggle is a box to tick with a sentence that says what it does. */
function toggle(id, label, text, on, changed) {
  const box = el("input", { type: "checkbox", id, "aria-describedby": `${id}-text`, on: { change: () => changed(box.checked, box) } });
  box.checked = on;
  return el("div", { class: "toggle" }, box, el("label", { for: id }, t(label)), el("p", { class: "small", id: `${id}-text` }, t(text)));
}

async function unlockPart(app, node) {
  if (!app.settings.unlock && !(await unlocking.possible())) return fill(node, el("p", { class: "small" }, t("unlockNone")));
  const change = async (on, box) => {
    box.disabled = true;
    if (on) {
      const chosen = await unlocking.choose(t("app"));
      if (chosen) await app.set("unlock", chosen);
    } else if (await unlocking.unlock(app.settings.unlock)) { // or whoever holds the open phone could end it
      await app.set("unlock", undefined);
    }
    box.checked = Boolean(app.settings.unlock);
    box.disabled = false;
    announce(t(box.checked === on ? (on ? "unlockOn" : "unlockOff") : on ? "unlockNotSet" : "unlockOn"));
  };
  return fill(node, toggle("unlock", "unlockTitle", "unlockText", Boolean(app.settings.unlock), change));
}
