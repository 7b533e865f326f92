// What waits for an answer: the question that is shown, how one ended, or that there is none.

import { announce, append, button, el, fill, setText, toTop } from "../dom.js";
import { t } from "../words.js";
import { outcome } from "./outcome.js";
import { question } from "./question.js";

/** requests keeps its part of the page until another question, or its end, is to be shown. */
export function requests(app) {
  const node = el("div", { class: "view" });
  let shown, part;
  return {
    node,
    update() {
      const request = app.requests.current;
      const is = request ? `${request.id} ${request.open ? "open" : "closed"}` : "idle";
      if (is !== shown) {
        part = request ? (request.open ? question(app, request) : outcome(app, request)) : idle(app);
        fill(node, part.node);
        if (shown !== undefined || request) part.node.querySelector("h1")?.focus({ preventScroll: true });
        if (request) toTop();
        shown = is;
      }
      part.update();
      document.title = request?.open ? t("promptTitle", { brand: request.brand || t("noBrand") }) : t("app");
    },
    leave: () => part?.leave?.(),
  };
}

function idle(app) {
  const check = button(t("checkNow"), async () => {
    check.disabled = true;
    check.textContent = t("checking");
    await app.check();
    check.disabled = false;
    check.textContent = t("checkNow");
    if (!app.requests.current) announce(app.reachable ? t("checked") : t("offlineNever"));
  });
  const help = el("details", { class: "help" },
    el("summary", {}, t("nothingArrives")),
    el("ul", {}, ["helpAccount", "helpNotifications", "helpFocus", "helpCodes"].map((key) => el("li", {}, t(key)))));
  const connection = el("p", { class: "facts" });
  const heading = el("h1", { tabindex: "-1" });
  const text = el("p");
  const join = el("a", { class: "button", href: "#join" }, t("addAccount"));
  const node = el("section", { class: "idle" }, heading, text, el("div", { class: "lower" }, check, join, help, connection));
  return {
    node,
    update() {
      const asked = app.active().length > 0;
      setText(heading, t(asked ? "idleTitle" : "idleNone"));
      setText(text, t(!asked ? "idleNoneText" : app.reachable === false ? "idleAway" : "idleText"));
      join.hidden = asked;
      help.hidden = connection.hidden = !asked;
      const word = app.reachable === undefined ? "connecting" : app.reachable ? "connected" : "notConnected";
      const on = app.pushReaches();
      const line = `${word} ${on}`;
      if (connection.dataset.line === line) return;
      connection.dataset.line = line;
      fill(connection);
      append(connection, [
        el("span", { class: `dot ${word}` }, t(word)), " ",
        el("span", {}, t(on ? "notificationsOn" : "notificationsOff")),
        on ? null : [" ", el("a", { href: "#settings" }, t("settings"))],
      ]);
    },
  };
}
