// What was answered in this browser.

import * as accounts from "../accounts.js";
import { announce, button, el, fill, isolated } from "../dom.js";
import { t, time } from "../words.js";

export function history(app) {
  const list = el("ul", { class: "history" });
  const lower = el("div", { class: "lower" });
  const node = el("section", { class: "view" }, el("h1", { tabindex: "-1" }, t("historyTitle")), el("p", { class: "small" }, t("historyLead")), list, lower);
  const load = async () => {
    const entries = await accounts.history();
    fill(list, entries.length === 0 ? el("li", {}, t("noHistory")) : entries.map(item));
    fill(lower, entries.length === 0 ? null : button(t("clearHistory"), async () => {
      await accounts.forgetHistory();
      announce(t("historyCleared"));
      await load();
      node.querySelector("h1").focus();
    }));
  };
  let seen;
  return {
    node,
    update() {
      if (seen === app.answered) return;
      seen = app.answered;
      load();
    },
  };
}

function item(entry) {
  const did = { approve: "didApprove", deny: "didDeny", not_me: "didNotMe" }[entry.decision];
  const places = [entry.place && el("bdi", {}, entry.place), entry.device && el("bdi", {}, entry.device), entry.ip && isolated(entry.ip)].filter(Boolean);
  return el("li", {},
    el("p", { class: "who" }, el("bdi", { class: "name" }, entry.brand || t("noBrand")), entry.user ? [" ", el("bdi", { class: "user" }, entry.user)] : null),
    entry.action ? el("p", {}, el("bdi", {}, entry.action)) : null,
    (entry.fields ?? []).map(({ label, value }) => el("p", { class: "small" }, el("bdi", {}, label), ": ", el("bdi", {}, value))),
    el("p", {}, t(did), end(entry) ? [" · ", t(end(entry))] : null),
    el("p", { class: "small" }, time(new Date(entry.at)), places.map((place) => [" · ", place])));
}

// The end is said where it is another than what was pressed.
function end({ decision, status, reason, here }) {
  if (here !== false && status === (decision === "approve" ? "approved" : "denied") && reason !== "wrong_number") return undefined;
  if (!status || status === "gone") return "endUnknown";
  if (reason === "wrong_number") return "endWrong";
  if (here === false) return "endOther";
  return { approved: "endApproved", denied: "endDenied", expired: "endExpired" }[status] ?? "endClosed";
}
