// One-time codes: each readable in the list, with the time it has left and the one that follows.

import * as clock from "../clock.js";
import { codesAt, grouped, left } from "../codes.js";
import { announce, button, el, fill, ring, setText } from "../dom.js";
import { fullName, nameOf } from "../names.js";
import { duration, say, t } from "../words.js";

const searchFrom = 6; // accounts
const shownFor = 20_000; // ms that a hidden code shows after a press
const copiedFor = 2000; // ms

export function codes(app) {
  const accounts = app.accounts.filter((a) => a.codes);
  const rows = accounts.map((account) => row(app, account));
  const list = el("ul", { class: "codes" }, rows.map((r) => r.node));
  const empty = el("p", { hidden: true, class: "none" });
  const search = accounts.length >= searchFrom ? searchField((text) => filter(rows, empty, list, text, search)) : null;
  const wrongClock = el("p", { class: "warn", hidden: true });
  const node = el("section", { class: "view" },
    el("h1", { tabindex: "-1" }, t("codesTitle")),
    accounts.length === 0 ? [el("p", {}, el("strong", {}, t("noCodes"))), el("p", {}, t("noCodesText"))] : null,
    search?.node, wrongClock, empty, list,
    el("div", { class: "lower" }, el("a", { class: "button", href: "#join" }, t("addAccount"))));
  const tick = () => {
    for (const r of rows) r.tick();
    const off = clock.fault();
    wrongClock.hidden = off === 0;
    if (off) setText(wrongClock, `⚠ ${t(off > 0 ? "clockFast" : "clockSlow", { time: duration(Math.abs(off)) })}`);
  };
  const timer = setInterval(tick, 1000);
  const hide = () => { if (document.hidden) for (const r of rows) r.hide(); };
  document.addEventListener("visibilitychange", hide);
  tick();
  return {
    node, update: tick,
    leave() {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", hide);
    },
  };
}

function searchField(changed) {
  const input = el("input", { type: "search", id: "search", autocomplete: "off", on: { input: () => changed(input.value) } });
  const set = (text) => { input.value = text; changed(text); input.focus(); };
  return { node: el("div", { class: "search" }, el("label", { for: "search" }, t("search")), input), set };
}

function filter(rows, empty, list, text, search) {
  const wanted = text.trim().toLocaleLowerCase();
  let found = 0;
  for (const r of rows) {
    r.node.hidden = !r.names.includes(wanted);
    if (!r.node.hidden) found++;
  }
  empty.hidden = found > 0;
  list.hidden = found === 0;
  if (found === 0) fill(empty, ...say("noMatch", { text: text.trim() }), " ", button(t("showAll"), () => search.set(""), { class: "small" }));
}

function row(app, account) {
  const name = fullName(account);
  let now = { code: "", next: "", step: -1 }, shownUntil = 0;
  const code = el("bdi", { dir: "ltr", tabindex: "-1", class: account.totp.digits > 6 ? "code long" : "code" });
  const next = el("bdi", { dir: "ltr" });
  const seconds = el("span", { class: "seconds" });
  const circle = ring();
  const copy = copyButton(t("copyCode", { name }), () => now.code, code);
  const copyNext = copyButton(t("copyNext", { name }), () => now.next, next);
  const reveal = el("button", {
    type: "button", class: "reveal", "aria-label": t("showCode", { name }), on: { click: () => { shownUntil = Date.now() + shownFor; draw(); } },
  }, el("bdi", { dir: "ltr", "aria-hidden": "true" }, "••• •••"));
  const following = el("div", { class: "next" }, el("span", {}, t("next"), " ", next), copyNext);
  const hidden = () => app.settings.hideCodes && Date.now() > shownUntil;
  const draw = () => {
    const held = document.activeElement;
    reveal.hidden = !hidden();
    code.hidden = hidden();
    copy.hidden = hidden();
    following.hidden = hidden();
    setText(code, hidden() ? "" : grouped(now.code));
    setText(next, hidden() ? "" : grouped(now.next));
    if (node.contains(held) && held.closest("[hidden]")) (hidden() ? reveal : code).focus();
  };
  const node = el("li", {},
    el("p", { class: "who" }, el("span", { class: "mark", "aria-hidden": "true" }, "◆"), " ", el("bdi", { class: "name" }, nameOf(account)),
      account.user ? [" ", el("bdi", { class: "user" }, account.user)] : null),
    el("div", { class: "now" }, reveal, code, el("span", { class: "countdown" }, circle.node, seconds), copy), following);
  return {
    node, names: `${account.label} ${account.brand} ${account.user}`.toLocaleLowerCase(),
    hide() { shownUntil = 0; draw(); },
    async tick() {
      const time = clock.now(), remaining = left(account, time);
      circle.set(remaining / account.totp.period);
      setText(seconds, duration(Math.ceil(remaining) * 1000, "narrow"));
      seconds.parentElement.classList.toggle("short", remaining <= 5);
      if (Math.floor(time / 1000 / account.totp.period) !== now.step) now = await codesAt(account, time);
      draw();
    },
  };
}

function copyButton(label, text, shown) {
  let timer;
  const node = button(t("copy"), async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      getSelection().selectAllChildren(shown);
      announce(t("codeSelected"));
      return;
    }
    clearTimeout(timer);
    node.textContent = t("copied");
    announce(t("copied"));
    timer = setTimeout(() => { node.textContent = t("copy"); }, copiedFor);
  }, { class: "copy", "aria-label": label });
  return node;
}
