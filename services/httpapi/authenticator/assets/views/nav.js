// The way between the views.

import { el, fill } from "../dom.js";
import { t } from "../words.js";

/** nav draws it, once there is an account. */
export function nav(app, node) {
  node.hidden = app.accounts.length === 0;
  node.setAttribute("aria-label", t("navigation"));
  fill(node, ["requests", "codes", "history", "settings"].map((route) =>
    el("a", { href: `#${route}`, "aria-current": route === app.route ? "page" : null, on: { click: (e) => { e.preventDefault(); app.go(route); } } }, t(route))));
}
