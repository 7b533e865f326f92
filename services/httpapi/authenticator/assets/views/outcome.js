// How a question ended, in the words of the accept page.

import { append, button, el } from "../dom.js";
import { say, t, time } from "../words.js";
import { waitingNote } from "./waiting.js";

/** ended is the sentence pair for an end: mark, heading, text, and whether it is good. */
function ended(request) {
  const { state, decision } = request;
  const here = state.answered_here || (decision !== "" && state.answered_here === undefined);
  if (state.reason === "wrong_number") return ["✕", "refused", "refusedText", "bad"];
  if (state.reason === "replaced") return ["○", "overtaken", "overtakenText", ""];
  switch (state.status) {
    case "approved":
      return here ? ["✓", "approved", "approvedText", "good"] : ["○", "elsewhereApproved", "elsewhereText", ""];
    case "denied":
      if (!here) return ["○", "elsewhereDenied", "elsewhereText", ""];
      return state.reason === "not_me" || decision === "not_me" ? ["✓", "thanks", "thanksText", "good"] : ["✕", "denied", "deniedText", "bad"];
    case "expired":
      return ["○", "expired", "expiredText", ""];
    case "canceled":
      return ["○", "withdrawn", "withdrawnText", ""];
    case "gone": // a yes that was sent may have been taken
      return ["○", "closed", request.sent?.decision === "approve" ? "expiredText" : "closedText", ""];
    default:
      return ["○", "closed", "closedText", ""];
  }
}

// Sentences that name the brand, and have another form where a request has none.
const branded = ["thanksText", "refusedText", "expiredText", "withdrawn", "elsewhereText"];

export function outcome(app, request) {
  const [mark, heading, said, kind] = ended(request);
  const text = request.trial && request.state.status === "approved" ? "tryDone" : said;
  const parts = { brand: request.brand, time: request.state.at };
  const words = (key) => say(branded.includes(key) && !request.brand ? `${key}Plain` : key, parts);
  const waiting = waitingNote(app);
  const node = el("section", { class: "outcome" });
  append(node, [
    el("p", { class: "brand" }, el("span", { class: "mark", "aria-hidden": "true" }, "◆"), " ", el("bdi", {}, request.brand)),
    el("h1", { tabindex: "-1", class: kind }, el("span", { "aria-hidden": "true" }, mark), " ", words(heading)),
    el("p", {}, words(text)),
    el("p", { class: "small" }, say("answeredAt", { time: time(request.state.at) })),
    waiting.node,
    el("div", { class: "lower" }, button(t("done"), () => app.requests.done(), { class: "wide" })),
  ]);
  if (!["approved", "denied"].includes(request.state.status)) node.querySelector(".small").remove();
  return { node, update: waiting.update };
}
