// What waits beside what is shown.

import { button, el, fill } from "../dom.js";
import { say, t } from "../words.js";

/** waitingNote says how many requests wait, and shows the first of them at a press. */
export function waitingNote(app) {
  const node = el("p", { class: "note", hidden: true });
  let said;
  return {
    node,
    update() {
      const { waiting } = app.requests;
      if (said === waiting.length) return;
      said = waiting.length;
      node.hidden = said === 0;
      fill(node, el("span", {}, say("waiting", { n: said })), " ", button(t("show"), () => app.requests.show(app.requests.waiting[0]), { class: "small" }));
    },
  };
}
