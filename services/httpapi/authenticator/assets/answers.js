// A person's answer: the number they typed, the unlock before an approval, the signature, and what is
// kept of it. One answer is signed once: sent again, it is the same text.

import * as accounts from "./accounts.js";
import * as api from "./api.js";
import * as clock from "./clock.js";
import { digest, sign } from "./keys.js";
import { unlock } from "./unlock.js";

const reading = 1000; // ms that a question without a number is shown before a yes counts: the tap may have been meant for the one before
const keeps = 4 * 60_000; // ms that a signed answer may be sent again: the server takes five minutes

/** readDigits is what a person typed, as the digits that are compared, whatever their script. */
function readDigits(text) {
  return [...text.normalize("NFKC")].map((c) => {
    const code = c.codePointAt(0);
    for (const zero of [0x0660, 0x06f0, 0x0966]) if (code >= zero && code <= zero + 9) return String(code - zero);
    return /[\s\p{Pd}\p{Cf}]/u.test(c) ? "" : c;
  }).join("");
}

/** checkNumber is the sentence about a number that cannot be the one, or nothing. */
function checkNumber(request, digits) {
  if (request.choices.length > 0) return request.choices.includes(digits) ? "" : "noChoice";
  const fits = /^[0-9]*$/.test(digits) && digits.length === request.numberLength;
  return fits ? "" : "noNumber";
}

// What keeps a yes from being sent: the sentence that says so, or nothing. Refusals are never kept.
function hinders(request, number) {
  if (request.asksNumber) return checkNumber(request, number);
  return performance.now() - request.shownAt < reading ? "tooSoon" : "";
}

/** answer sends a decision. It changes `request` and calls `changed` whenever there is something to see. */
export async function answer(request, decision, { settings, changed }) {
  if (request.phase !== "asking") return;
  const number = decision === "approve" && request.asksNumber ? readDigits(request.typed) : "";
  request.fault = decision === "approve" ? hinders(request, number) : "";
  if (request.fault) {
    request.faults++;
    return changed();
  }
  if (decision === "approve" && settings.unlock) {
    request.phase = "unlocking";
    changed();
    const unlocked = await unlock(settings.unlock);
    if (!request.open) return; // it ended meanwhile
    if (!unlocked) {
      Object.assign(request, { phase: "asking", fault: "unlockFailed" });
      return changed();
    }
  }
  const entry = request.trial ? undefined : written(request, decision);
  const attempt = request.attempt + 1;
  // A receipt or a failure may come after the server has said what became of the answer, and the person has tried again.
  const current = () => request.attempt === attempt && request.phase === "sending";
  Object.assign(request, { phase: "sending", decision, trying: entry, attempt });
  changed();
  try {
    await send(request, decision, number);
    request.entry = entry;
    await note(request);
    if (current()) request.phase = "sent";
  } catch (problem) {
    if (!current()) return;
    refused(request, problem);
  }
  changed();
}

async function send(request, decision, number, again = false) {
  const same = request.sent?.decision === decision && request.sent.number === number;
  if (!same || clock.now() - request.sent.at > keeps) request.sent = await signed(request, decision, number);
  try {
    await api.answer(request.id, request.sent.body);
  } catch (problem) {
    const late = problem instanceof api.Problem && problem.status === 422 && problem.body.errors?.[0]?.pointer === "#/answered_at";
    if (!late || again) throw problem;
    request.sent = undefined; // the answer told the right time
    await send(request, decision, number, true);
  }
}

async function signed(request, decision, number) {
  const at = clock.now(), answeredAt = new Date(at).toISOString();
  const text = [
    "assent-response-v2", request.id, request.account.deviceID, decision,
    number === "" ? "" : await digest(`${request.salt}\n${number}`), answeredAt, await digest(request.context),
  ].join("\n");
  const body = JSON.stringify({
    device_id: request.account.deviceID, decision, ...(number === "" ? {} : { number }), answered_at: answeredAt,
    signature: await sign(request.account.key, text),
  });
  return { decision, number, at, body };
}

// What the server does not take leaves the question open, but for one that has ended: how, its state says.
function refused(request, problem) {
  request.phase = "asking";
  if (problem instanceof api.Unreachable) {
    request.fault = "notSent";
  } else if (problem.code === "verification_closed") {
    request.phase = "sent";
  } else if (problem.status === 422) {
    request.fault = "noNumber";
  } else {
    request.fault = "notTaken";
  }
}

// The history holds what was decided, and how it ended once that is known.
function written({ id, brand, account, shown }, decision) {
  return {
    id, at: clock.now(), account: account.id, brand, user: account.user, decision,
    action: shown.action ?? "", fields: shown.fields, place: shown.place ?? "", device: shown.device ?? "", ip: shown.ip ?? "",
  };
}

/** note writes what was decided and how it ended. Where no receipt came, the end tells that an answer of here was taken, and which. */
export async function note(request) {
  const { status, reason, answered_here: here } = request.state ?? {};
  const entry = request.entry ?? (here ? request.trying : undefined);
  if (!entry) return;
  const did = here && { approved: "approve", denied: reason ? { not_me: "not_me", wrong_number: "approve" }[reason] : "deny" }[status];
  try {
    await accounts.note({ ...entry, decision: did || entry.decision, status, reason, here });
  } catch { /* a history that cannot be written is no reason to lose an answer */ }
}
