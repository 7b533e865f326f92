// The choice of a language.

import { el } from "../dom.js";
import { languages, t } from "../words.js";

/** language is the field; its label is for "language". */
export function language(app) {
  const select = el("select", { id: "language", on: { change: () => app.speak(select.value) } },
    el("option", { value: "" }, t("automatic")),
    Object.entries(languages).map(([tag, name]) => el("option", { value: tag, lang: tag }, name)));
  select.value = app.settings.language ?? "";
  return select;
}
