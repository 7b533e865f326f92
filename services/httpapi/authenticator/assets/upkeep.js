// What the server is told of each account beside answers: what reaches it, and that this browser
// alone has its key.

import * as api from "./api.js";
import { count } from "./counter.js";
import * as push from "./push.js";

/** Upkeep works for the accounts that `app.active()` gives. `refused(account, problem)` gets what the server refuses. */
export class Upkeep {
  #app;
  #refused;
  #telling = Promise.resolve(); // one after the other

  constructor(app, refused) {
    this.#app = app;
    this.#refused = refused;
  }

  /** learn asks what the server offers, until it pushes to pages: null where it does not. */
  async learn() {
    if (this.#app.webPush) return;
    try {
      this.#app.webPush = (await api.settings()).web_push ?? null;
    } catch { /* it is away: asked again later */ }
  }

  /** tell makes the server know what reaches each account. */
  tell() {
    this.#telling = this.#telling.then(() => this.#tell()).catch(() => {}); // what failed is told the next time
    return this.#telling;
  }

  async #tell() {
    const app = this.#app;
    await this.learn();
    const token = await push.token(app.webPush);
    if (token && app.webPush?.service === "sandbox") (await import("./sandboxpush.js")).listen(token);
    for (const account of app.active()) {
      try {
        await push.tell(account, token);
      } catch (problem) {
        this.#complain(account, problem);
      }
    }
  }

  /** count shows the server that no other browser has the keys of this one. */
  count() {
    for (const account of this.#app.active()) count(account).catch((problem) => this.#complain(account, problem));
  }

  #complain(account, problem) {
    if (problem instanceof api.Problem) this.#refused(account, problem);
  }
}
