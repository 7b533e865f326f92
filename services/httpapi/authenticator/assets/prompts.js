// The loops that look for questions, while the page is seen. At most three requests wait at a time,
// since a browser may have no more than six connections; further accounts are looked at in turn.

import * as api from "./api.js";

const atOnce = 3;
const longWait = 25; // seconds that the server holds a look
const shortWait = 5; // where others wait for their turn, or a newer question may come
const longestPause = 10_000; // ms between tries while the server is away and a person looks
const emptyPause = 1000; // ms after a look that the server ended early: it is shutting down

/**
 * Watcher looks for the questions of accounts. `accounts()` are those to look at, `watched(account)` the open question
 * of one whose state is asked for, or undefined. What is found goes to `listed(account, prompts)`, `stands(account, id, state)` and
 * `refused(account, problem)`.
 */
export class Watcher {
  #hooks;
  #run; // the AbortController of the loops that run now
  #looks = 0;
  #looked = new Map(); // which look was the last, by account: the one that waits longest is next
  #failures = 0;

  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** start looks at once, and goes on until stop. Where loops run already they begin anew. */
  start() {
    this.stop();
    const run = this.#run = new AbortController();
    this.#failures = 0;
    const busy = new Set(), begun = new Set();
    const slots = Math.min(atOnce, this.#hooks.accounts().length);
    for (let i = 0; i < slots; i++) this.#loop(run.signal, busy, begun);
  }

  stop() {
    this.#run?.abort(new DOMException("stopped", "AbortError"));
    this.#run = undefined;
  }

  get running() {
    return this.#run !== undefined;
  }

  async #loop(signal, busy, begun) {
    while (!signal.aborted) {
      const accounts = this.#hooks.accounts();
      const free = accounts.filter((account) => !busy.has(account.id));
      if (free.length === 0) return;
      const account = free.reduce((a, b) => ((this.#looked.get(b.id) ?? 0) < (this.#looked.get(a.id) ?? 0) ? b : a));
      this.#looked.set(account.id, ++this.#looks);
      busy.add(account.id);
      try {
        await this.#look(account, accounts.length > atOnce ? shortWait : longWait, !begun.has(account.id), signal);
        begun.add(account.id);
        this.#failures = 0;
      } catch (problem) {
        if (signal.aborted) return;
        if (problem instanceof api.Problem) this.#hooks.refused(account, problem);
        this.#failures++;
        // Spread out: all pages come back at once after a restart.
        const most = Math.min(longestPause, 1000 * 2 ** Math.min(this.#failures, 5));
        await pause((problem.retryAfter ?? 0) * 1000 + most / 4 + Math.random() * most * 3 / 4, signal);
      } finally {
        busy.delete(account.id);
      }
    }
  }

  // The first look of a run does not wait beside an open question: what made it begin anew may be a newer one.
  async #look(account, wait, first, signal) {
    const open = this.#hooks.watched(account);
    if (!open) {
      const begun = performance.now();
      const found = await api.prompts(account, wait, signal);
      if (signal.aborted) return;
      this.#hooks.listed(account, found);
      if (found.length === 0 && performance.now() - begun < wait * 1000 - emptyPause) await pause(emptyPause, signal);
      return;
    }
    let state;
    try {
      state = await api.promptState(account, open.id, open.etag, open.etag && !first ? shortWait : 0, signal);
    } catch (problem) {
      if (!(problem instanceof api.Problem) || problem.status !== 404) throw problem;
      state = { status: "gone" };
    }
    if (signal.aborted) return;
    if (state) this.#hooks.stands(account, open.id, state);
    if (this.#hooks.watched(account)?.id !== open.id) return;
    if (state && !state.etag) await pause(emptyPause, signal);
    if (signal.aborted) return;
    this.#hooks.listed(account, await api.prompts(account, 0, signal)); // a newer one may have come
  }
}

function pause(ms, signal) {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => { clearTimeout(timer); resolve(); };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
