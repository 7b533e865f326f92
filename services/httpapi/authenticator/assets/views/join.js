// Joining, by camera or by typing, and every way in which it can go wrong.

import * as api from "../api.js";
import { announce, append, button, el, fill } from "../dom.js";
import { addCodes, deviceName, groupedCode, join as joinServer, plainIOSTab, read, readCode } from "../join.js";
import { fullName } from "../names.js";
import { say, t } from "../words.js";
import { permission } from "../push.js";
import { language } from "./language.js";
import { scanner } from "./scanner.js";

export function join(app) {
  const node = el("section", { class: "view join" });
  let leave = () => {};
  const show = (part) => {
    leave();
    leave = part.leave ?? (() => {});
    fill(node, part.node ?? part);
    node.querySelector("h1")?.focus({ preventScroll: true });
  };
  const begin = () => show(form(app, (account) => show(joined(app, account))));
  if (plainIOSTab()) show(inTab(begin));
  else begin();
  return { node, update() {}, leave: () => leave() };
}

// A tab on iOS loses its key: that is said before there is one. The app is joined by scanning again there.
function inTab(anyway) {
  return el("div", {}, el("h1", { tabindex: "-1" }, t("joinTitle")), el("p", { class: "warn" }, "⚠ ", t("iosTab")),
    el("div", { class: "lower" }, button(t("iosAnyway"), anyway)));
}

function form(app, done) {
  const fault = el("div", { class: "fault", id: "join-fault", role: "alert", hidden: true });
  const input = el("input", {
    id: "code", name: "code", type: "text", dir: "ltr", autocomplete: "off", autocapitalize: "characters", spellcheck: "false",
    "aria-describedby": "code-hint join-fault", on: { input: () => tidy(app, input) },
  });
  const press = el("button", { type: "submit", class: "approve" }, t("joinButton"));
  const complain = (content, way) => {
    fault.hidden = false;
    fill(fault, el("p", {}, content), way);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  };
  let busy = false;
  const go = async (text) => {
    if (busy) return;
    busy = true;
    press.disabled = true;
    press.textContent = t("joining");
    fault.hidden = true;
    const account = await attempt(app, text, complain);
    busy = false;
    press.disabled = false;
    press.textContent = t("joinButton");
    if (account) done(account);
  };
  const camera = scanner((text) => { input.value = text.startsWith("otpauth:") ? "" : text; go(text); }, (key) => complain(t(key)));
  const first = app.accounts.length === 0;
  const node = el("div", {},
    el("h1", { tabindex: "-1" }, t("joinTitle")),
    app.cleared ? el("p", { class: "warn" }, "⚠ ", t("cleared")) : null,
    first && !app.cleared ? el("p", {}, t("welcome")) : null,
    el("div", { class: "lower" },
      el("h2", {}, t("scanLead")), camera.node,
      el("form", { novalidate: true, on: { submit: (event) => { event.preventDefault(); go(input.value); } } },
        el("h2", {}, el("label", { for: "code" }, t("typeLead"))),
        el("p", { class: "small", id: "code-hint" }, t("typeHint")), input, fault, press),
      first ? el("div", { class: "language" }, el("label", { for: "language" }, t("language")), language(app))
        : el("a", { class: "quiet", href: "#requests" }, t("cancel"))));
  const given = readCode(app.joinCode);
  input.value = given ? groupedCode(given) : app.joinCode; // joining takes a press: anybody can make a link
  return { node, leave: camera.stop };
}

// A whole code falls into groups of four, so that it can be compared; what else is typed stays as it is.
function tidy(app, input) {
  const code = readCode(input.value);
  if (code && input.selectionStart === input.value.length) input.value = groupedCode(code);
  app.joinCode = input.value; // another language keeps it
}

/** attempt joins with what was scanned or typed, or says what is wrong with it. */
async function attempt(app, text, complain) {
  const what = read(text);
  if (what.wrong) return complain(t(what.wrong));
  if (what.foreign) {
    complain(say("joinForeign", { host: what.host }), el("a", { class: "button", href: what.foreign, rel: "noreferrer" }, t("open")));
    return undefined;
  }
  try {
    if (what.totp) return await app.joined(await addCodes(what.totp));
    return await app.joined(await joinServer(what.code, deviceName(), await app.pushToken()));
  } catch (problem) {
    complain(refusal(problem));
    return undefined;
  }
}

function refusal(problem) {
  if (problem instanceof api.Unreachable) return t("joinOffline");
  if (!(problem instanceof api.Problem)) return t("joinStorage");
  const { code, body } = problem;
  const brand = body.brand;
  if (code === "join_code_used") return [t("joinUsed"), " ", brand ? say("joinUsedNext", { brand }) : t("joinUsedNextPlain")];
  if (code === "join_code_expired") {
    return brand && body.expired_at ? say("joinExpired", { time: new Date(body.expired_at), brand }) : t("joinExpiredPlain");
  }
  if (code === "not_found") return t("joinWrong");
  return t("joinRefused", { code: code || String(problem.status) });
}

function joined(app, account) {
  const codesOnly = !account.deviceID;
  const { brand } = account;
  const heading = codesOnly ? t("codesAdded") : brand ? say("joinedTitle", { brand }) : t("joinedTitlePlain");
  const text = codesOnly ? t("codesAddedText") : brand ? say("joinedText", { brand }) : t("joinedTextPlain");
  const node = el("div", {}, el("h1", { tabindex: "-1" }, el("span", { class: "good", "aria-hidden": "true" }, "✓ "), heading),
    el("p", {}, el("bdi", { class: "user" }, fullName(account))), el("p", {}, text));
  const lower = el("div", { class: "lower" });
  const leave = () => app.go(codesOnly ? "codes" : "requests");
  const next = (...parts) => { fill(lower, ...parts); lower.querySelector("button")?.focus(); };
  const trial = () => next(...trying(app, account, leave));
  if (codesOnly) {
    append(lower, [button(t("done"), leave, { class: "approve" })]);
  } else if (app.webPush && permission() === "default") {
    append(lower, [el("p", {}, t("joinedNotify")),
      button(t("turnOn"), async () => { await app.turnOnPush(); trial(); }, { class: "approve" }), button(t("notNow"), trial)]);
  } else {
    append(lower, trying(app, account, leave));
  }
  node.append(lower);
  announce(node.querySelector("h1").textContent);
  return { node };
}

// A request that means nothing shows what the ones that matter will look like, and that they arrive.
function trying(app, account, leave) {
  const fault = el("p", { class: "fault", role: "alert", hidden: true });
  const press = button(t("tryIt"), async () => {
    press.disabled = true;
    try {
      await app.try(account);
    } catch {
      press.disabled = false;
      fault.hidden = false;
      fill(fault, t("tryFailed"));
    }
  }, { class: "approve" });
  return [el("p", {}, t("tryText")), fault, press, button(t("done"), leave)];
}
