// One account in the settings: its state, renaming it, and removing it.

import { announce, button, el, fill } from "../dom.js";
import { fullName, nameOf } from "../names.js";
import { say, t, day, time } from "../words.js";

export function account(app, one) {
  const node = el("li", { class: "account" });
  const show = (part) => { fill(node, part); node.querySelector("[autofocus], h3")?.focus(); };
  const rest = () => card(app, one, { rename: () => show(naming(app, one, back)), remove: () => show(removing(app, one, back)) });
  const back = () => show(rest());
  fill(node, rest());
  return node;
}

/** trouble is what is wrong with an account, in a sentence; nothing where all is well. */
export function trouble(one) {
  if (one.keyless || one.copied) return t("keyless");
  const brand = nameOf(one);
  if (one.unknown) return say("isUnknown", { brand });
  if (!one.removed) return undefined;
  const { cause, at } = one.removed;
  const date = new Date(at);
  const when = el("time", { datetime: date.toISOString() }, day(date));
  return say(cause === "replaced" ? "wasReplaced" : "wasRemoved", { brand, time: when });
}

/** troubleNote says it with the two ways on. */
export function troubleNote(app, one) {
  return el("div", { class: "warn trouble" }, el("p", {}, "⚠ ", trouble(one)),
    el("p", { class: "row" }, el("a", { class: "button", href: "#join" }, t("joinAgain")), button(t("removeFromList"), () => app.remove(one))));
}

function card(app, one, { rename, remove }) {
  return [
    el("h3", { tabindex: "-1" }, el("span", { class: "mark", "aria-hidden": "true" }, "◆"), " ", el("bdi", {}, nameOf(one))),
    one.user ? el("p", { class: "user" }, el("bdi", {}, one.user)) : null,
    el("p", { class: "small" }, one.deviceID ? null : [t("codeOnly"), " · "], say("joinedOn", { time: time(new Date(one.createdAt)) })),
    trouble(one) ? troubleNote(app, one) : null,
    el("p", { class: "row" }, button(t("rename"), rename, { "aria-label": `${t("rename")}: ${fullName(one)}` }),
      trouble(one) ? null : button(t("remove"), remove, { "aria-label": `${t("remove")}: ${fullName(one)}` })),
  ];
}

function naming(app, one, back) {
  const id = `name-${one.id}`;
  const input = el("input", { id, type: "text", maxlength: "60", autocomplete: "off", autofocus: true, "aria-describedby": `${id}-hint` });
  input.value = one.label;
  const save = async (event) => {
    event.preventDefault();
    await app.rename(one, input.value.trim());
    announce(t("saved"));
    back();
  };
  return el("form", { on: { submit: save } }, el("label", { for: id }, t("nameLabel")), el("p", { class: "small", id: `${id}-hint` }, t("nameHint")), input,
    el("p", { class: "row" }, el("button", { type: "submit" }, t("save")), button(t("cancel"), back)));
}

function removing(app, one, back) {
  return el("div", {}, el("h3", { tabindex: "-1" }, say("removeTitle", { name: fullName(one) })),
    el("p", {}, one.deviceID ? say("removeText", { brand: one.brand || t("noBrand") }) : t("removeTextCodes")),
    el("p", { class: "row" }, button(t("removeButton"), () => app.remove(one), { class: "bad" }), button(t("cancel"), back)));
}
