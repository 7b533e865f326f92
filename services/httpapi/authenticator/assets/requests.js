// The questions that this page knows of, and the one it shows. The server says how each stands; this
// only keeps it, and what the person has typed.

import * as clock from "./clock.js";

/** Request is one question on one account. `phase` is asking, unlocking, sending, sent or closed. */
class Request {
  phase = "asking";
  typed = "";
  fault = ""; // the sentence beside the number or the buttons
  faults = 0; // how often a press was held back, so that the same sentence is said again
  attempt = 0; // which time it is that an answer is sent
  decision = ""; // what was pressed here
  replaced = false; // it took the place of another that was shown, which has ended
  listed = true; // the server's last list of open questions had it

  constructor(account, prompt) {
    this.account = account;
    this.id = prompt.verification_id;
    this.foundAt = performance.now();
    this.update(prompt);
  }

  update(prompt) {
    this.brand = prompt.brand || this.account.brand;
    this.context = prompt.context;
    this.shown = readContext(prompt.context);
    this.choices = prompt.choices ?? [];
    this.numberLength = prompt.number_length ?? 0;
    this.salt = prompt.number_salt ?? "";
    this.createdAt = new Date(prompt.created_at);
    this.expiresAt = new Date(prompt.expires_at);
    this.checksLeft ??= prompt.checks_left;
    this.trial = prompt.trial ?? false;
  }

  get asksNumber() {
    return this.choices.length > 0 || this.numberLength > 0;
  }

  get open() {
    return this.phase !== "closed";
  }

  get busy() {
    return this.phase === "sending" || this.phase === "unlocking";
  }
}

function readContext(text) {
  try {
    const shown = JSON.parse(text);
    return typeof shown === "object" && shown !== null ? { ...shown, fields: Array.isArray(shown.fields) ? shown.fields : [] } : { fields: [] };
  } catch {
    return { fields: [] };
  }
}

/** Requests holds them, the newest first, and tells of every change. */
export class Requests {
  #known = new Map();
  #changed;
  #closed;
  #wanted; // the id of the one to show as soon as it is listed
  current; // the one that is shown, open or closed

  constructor(changed, closed) {
    this.#changed = changed;
    this.#closed = closed;
  }

  /** openOf is the newest open question of an account. */
  openOf(account) {
    return this.#open().find((r) => r.account.id === account.id);
  }

  #open() {
    return [...this.#known.values()].filter((r) => r.open).sort((a, b) => b.createdAt - a.createdAt);
  }

  /**
   * watched is the open question of an account whose state is asked for. Of several, the one that the list lacks has
   * ended, and how is still to be learnt; then one whose answer is on its way, the one that is shown, and the newest.
   */
  watched(account) {
    const all = this.#open().filter((r) => r.account.id === account.id);
    return all.find((r) => !r.listed) ?? all.find((r) => r.sent) ?? all.find((r) => r === this.current) ?? all[0];
  }

  /** waiting are the open ones beside the one that is shown. */
  get waiting() {
    return this.#open().filter((r) => r !== this.current && r.listed);
  }

  /** listed takes the open questions of an account as the server lists them. */
  listed(account, prompts) {
    const before = this.openOf(account);
    const ids = new Set(prompts.map((prompt) => prompt.verification_id));
    for (const request of this.#open()) {
      if (request.account.id === account.id) request.listed = ids.has(request.id);
    }
    for (const prompt of prompts) {
      const known = this.#known.get(prompt.verification_id);
      if (!known || known.state?.status === "gone") this.#known.set(prompt.verification_id, new Request(account, prompt));
      else if (known.open && !known.busy) known.update(prompt);
    }
    const newest = this.openOf(account), shown = this.current;
    if (before && newest !== before && shown?.open && shown.account.id === account.id && !shown.busy && !shown.sent) {
      newest.replaced = !shown.listed; // a trial stays open beside a request
      this.current = newest;
    }
    if (this.#wanted) this.want(this.#wanted);
    this.#choose();
    this.#changed();
  }

  /** stands takes how the server says that one stands. */
  stands(account, id, state) {
    const request = this.#known.get(id);
    if (!request || !request.open) return;
    if (state.etag) request.etag = state.etag;
    request.listed = true;
    if (state.status !== "pending") {
      this.close(request, state);
      return;
    }
    const wrong = request.checksLeft !== undefined && state.checks_left !== undefined && state.checks_left < request.checksLeft;
    request.checksLeft = state.checks_left ?? request.checksLeft;
    if (wrong && (request.phase === "sent" || request.phase === "sending")) {
      Object.assign(request, { phase: "asking", fault: "wrongNumber", decision: "", sent: undefined });
    }
    this.#changed();
  }

  close(request, state) {
    request.state = { ...state, at: state.closed_at ? new Date(state.closed_at) : new Date(clock.now()) };
    request.phase = "closed";
    request.closedAt = performance.now();
    this.#closed(request);
    const newer = state.reason === "replaced" && this.openOf(request.account);
    if (newer && (this.current === request || this.current === newer)) {
      newer.replaced = true;
      this.current = newer;
    }
    this.#choose();
    this.#changed();
  }

  /** show puts one that waits before the person. */
  show(request) {
    this.current = request;
    this.#changed();
  }

  /** want shows the one of an id, at once or as soon as it is listed. */
  want(id) {
    const request = this.#known.get(id);
    this.#wanted = request ? undefined : id;
    if (request) this.show(request);
  }

  /** ended tells whether the one of an id was open here and is so no more. */
  ended(id) {
    return this.#known.get(id)?.open === false;
  }

  /** done leaves the end of a question. */
  done() {
    this.current = undefined;
    this.#choose();
    this.#changed();
  }

  /** expire closes what has ended by the clock, where the server cannot say so. What was sent may have been taken: only the server knows. */
  expire(reachable) {
    for (const request of this.#open()) {
      if (!reachable && !request.busy && !request.sent && clock.now() > request.expiresAt.getTime() + 1000) this.close(request, { status: "expired" });
    }
  }

  /** drop forgets the questions of an account that has left. */
  drop(account) {
    for (const [id, request] of this.#known) {
      if (request.account.id === account.id) this.#known.delete(id);
    }
    if (this.current?.account.id === account.id) this.current = undefined;
    this.#choose();
    this.#changed();
  }

  // The end of one stays in view until the person has seen it, or another question comes.
  #choose() {
    const newest = this.#open().find((r) => r.listed);
    if (!newest) return;
    if (!this.current || (!this.current.open && newest.foundAt > this.current.closedAt)) {
      if (this.current?.state.reason === "replaced") newest.replaced = true;
      this.current = newest;
    }
  }
}
