// One open question: who asks what from where, the number, and the three answers.

import { button, el, fill, isolated, setText } from "../dom.js";
import { nameOf } from "../names.js";
import { say, t, time } from "../words.js";
import { waitingNote } from "./waiting.js";

const sentences = { // with the request's own time where a sentence has one
  noNumber: (r) => (r.numberLength === 2 ? t("noNumberTwo") : t("noNumber", { n: r.numberLength })),
  notSent: (r) => say("notSent", { time: r.expiresAt }),
};

export function question(app, request) {
  const { shown } = request;
  request.shownAt ??= performance.now();
  const fault = el("p", { class: "fault", id: "fault", role: "alert", hidden: true });
  const progress = el("p", { class: "progress", hidden: true });
  const number = request.asksNumber ? (request.choices.length > 0 ? choices(request) : numberField(request)) : null;
  const buttons = ["approve", "deny", "notMe"].map((key) => el("button", {
    type: key === "approve" ? "submit" : "button", class: key === "approve" ? "approve" : "", name: "decision",
    value: key === "notMe" ? "not_me" : key, formnovalidate: key !== "approve",
    on: key === "approve" ? {} : { click: () => app.answer(request, key === "notMe" ? "not_me" : key) },
  }, t(key)));
  const form = el("form", {
    novalidate: true, autocomplete: "off",
    on: { submit: (event) => { event.preventDefault(); app.answer(request, "approve"); } },
  }, number?.node, fault, progress, buttons);
  const waiting = waitingNote(app);
  const replaced = el("p", { class: "note replaced" }, t("replacedNote"));
  const node = el("section", { class: "question" },
    el("p", { class: "brand" }, el("span", { class: "mark", "aria-hidden": "true" }, "◆"), " ", el("bdi", {}, request.brand || nameOf(request.account)),
      request.account.user ? [" ", el("bdi", { class: "user" }, request.account.user)] : null),
    el("h1", { tabindex: "-1" }, t(request.trial ? "tryPrompt" : shown.fields.length > 0 ? "questionAgree" : "question")),
    replaced,
    waiting.node,
    bound(shown.fields), facts(request),
    el("div", { class: "lower" }, form,
      request.trial ? null : el("p", { class: "small" }, request.brand ? say("note", { brand: request.brand }) : t("notePlain")),
      el("p", { class: "small open" }, say("openUntil", { time: request.expiresAt }))));
  let said = "";
  return {
    node,
    update() {
      waiting.update();
      replaced.hidden = !request.replaced;
      const asks = request.phase === "asking";
      for (const b of buttons) b.disabled = !asks;
      if (number) number.enable(asks);
      progress.hidden = asks;
      if (!asks) setText(progress, t({ unlocking: "unlocking", sending: "sending", sent: "onItsWay" }[request.phase] ?? "onItsWay"));
      const now = asks ? `${request.fault}/${request.faults}` : "";
      if (now === said) return;
      said = now;
      fault.hidden = !asks || !request.fault;
      fill(fault, fault.hidden ? "" : sentences[request.fault]?.(request) ?? t(request.fault));
      const ofNumber = ["noNumber", "noChoice", "wrongNumber"].includes(request.fault);
      if (number && asks) number.blame(ofNumber);
    },
  };
}

// What is agreed to comes first, in the largest type, and is never cut.
function bound(fields) {
  if (fields.length === 0) return null;
  return el("dl", { class: "bound" }, fields.map(({ label, value }) =>
    el("div", {}, el("dt", {}, el("bdi", {}, label)), el("dd", {}, el("bdi", {}, value)))));
}

function facts({ shown, createdAt }) {
  const rows = [
    ["what", shown.action && el("bdi", {}, shown.action)],
    ["where", shown.place && [el("bdi", {}, shown.place), ` (${t("estimate")})`]],
    ["device", shown.device && el("bdi", {}, shown.device)],
    ["network", shown.ip && isolated(shown.ip)],
    ["asked", time(createdAt)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([key, value]) =>
    el("div", { class: key }, el("dt", {}, t(key)), el("dd", {}, value))));
}

function numberField(request) {
  const two = request.numberLength === 2;
  const input = el("input", {
    id: "number", name: "number", type: "text", inputmode: "numeric", autocomplete: "off", dir: "ltr",
    "aria-describedby": "number-hint fault", on: { input: () => { request.typed = input.value; } },
  });
  input.value = request.typed;
  return {
    node: el("div", { class: "number" },
      el("label", { for: "number" }, t("number")),
      el("p", { class: "small", id: "number-hint" }, two ? t("numberHintTwo") : t("numberHint", { n: request.numberLength })), input),
    enable: (on) => { input.readOnly = !on; },
    blame(wrong) {
      if (!wrong) return input.removeAttribute("aria-invalid");
      input.setAttribute("aria-invalid", "true");
      input.focus();
      input.select();
    },
  };
}

function choices(request) {
  const radios = request.choices.map((choice) => {
    const input = el("input", { type: "radio", name: "number", value: choice, on: { change: () => { request.typed = choice; } } });
    input.checked = request.typed === choice;
    return { input, node: el("label", { class: "choice" }, input, isolated(choice)) };
  });
  return {
    node: el("fieldset", { class: "choices", "aria-describedby": "fault" }, el("legend", {}, t("choose")), radios.map((r) => r.node)),
    enable(on) { for (const r of radios) r.input.disabled = !on; },
    blame(wrong) { if (wrong) (radios.find((r) => r.input.checked) ?? radios[0]).input.focus(); },
  };
}
